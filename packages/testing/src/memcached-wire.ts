import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

type Cut = number | 'whole' | (() => Promise<unknown>)

/**
 * A cable to a real server on loopback: it can be cut at any byte of an answer, be long, fall silent, and counts what goes
 * through.
 */
export class Wire {
  /**
   * How long everything is under way, in ms each way. A new connection takes a round trip before the first request, as
   * TCP's handshake does.
   */
  delay = 0
  /** How many pieces the clients have sent: one for each request or batch of requests. */
  requests = 0
  /** Bytes from the clients, and to them. */
  sent = 0
  received = 0
  /** How many connections the clients have made. */
  connections = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #cuts: Array<Cut> = []
  /** How many more requests pass before they are held, and what they wait for then. */
  #passing = Number.POSITIVE_INFINITY
  #released: Promise<void> = Promise.resolve()
  /** Of the connections that still carry something. */
  #alive = Symbol()

  static async to(port: number): Promise<Wire> {
    const wire = new Wire(port)
    wire.#server.listen(0, '127.0.0.1')
    await once(wire.#server, 'listening')
    return wire
  }

  private constructor(port: number) {
    this.#server = createServer((client) => this.#join(client, connect(port, '127.0.0.1')))
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /**
   * Of each of the next answers, only so many bytes arrive; then the connection is gone. The server did its work. A function
   * is for what happens after the server did it, and before the connection is gone: no byte of the answer arrives.
   */
  cut(...answers: Cut[]): void {
    this.#cuts.push(...answers)
  }

  /** The connections that there are carry nothing any more, in either direction, and stay open. New ones work. */
  silence(): void {
    this.#alive = Symbol()
  }

  /** After so many more requests, none arrives any more, until the function that is returned is called: then all do. */
  hold(passing: number): () => void {
    this.#passing = passing
    let release = () => {}
    this.#released = new Promise((resolve) => {
      release = resolve
    })
    return () => {
      this.#passing = Number.POSITIVE_INFINITY
      release()
    }
  }

  async stop(): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server, 'close')
  }

  #join(client: Socket, server: Socket): void {
    this.connections += 1
    const alive = this.#alive
    const end = () => {
      client.destroy()
      server.destroy()
    }
    for (const socket of [client, server]) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', end)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        end()
      })
    }
    const connected = sleep(2 * this.delay)
    const send = this.#carrier(server)
    client.on('data', async (request) => {
      if (alive !== this.#alive) return
      this.requests += 1
      this.sent += request.length
      this.#passing -= 1
      if (this.#passing < 0) await this.#released
      if (this.delay > 0) await connected
      send(request)
    })
    const answerWith = this.#carrier(client)
    server.on('data', async (answer) => {
      if (alive !== this.#alive) return
      this.received += answer.length
      const cut = this.#cuts.shift() ?? 'whole'
      if (cut === 'whole') {
        answerWith(answer)
        return
      }
      if (typeof cut === 'function') await cut().catch(() => {}) // the test sees what it did
      client.end(answer.subarray(0, typeof cut === 'number' ? cut : 0))
      server.destroy()
    })
  }

  /** What brings pieces to this end, one after the other. */
  #carrier(end: Socket): (piece: Buffer) => void {
    let earlier = Promise.resolve()
    return (piece) => {
      if (this.delay === 0) {
        end.write(piece)
        return
      }
      const arrival = sleep(this.delay)
      earlier = earlier.then(async () => {
        await arrival
        end.write(piece)
      })
    }
  }
}
