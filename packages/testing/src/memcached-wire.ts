import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

type Cut = number | 'whole' | (() => Promise<unknown>)

/** A cable to a real server on loopback: it can be cut at any byte of an answer, be long, and counts what goes through. */
export class Wire {
  /** How long an answer is under way, in ms. */
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

  async stop(): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server, 'close')
  }

  #join(client: Socket, server: Socket): void {
    this.connections += 1
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
    client.on('data', (request) => {
      this.requests += 1
      this.sent += request.length
      server.write(request)
    })
    server.on('data', async (answer) => {
      this.received += answer.length
      const cut = this.#cuts.shift() ?? 'whole'
      if (cut === 'whole') {
        if (this.delay > 0) setTimeout(() => client.write(answer), this.delay)
        else client.write(answer)
        return
      }
      if (typeof cut === 'function') await cut().catch(() => {}) // the test sees what it did
      client.end(answer.subarray(0, typeof cut === 'number' ? cut : 0))
      server.destroy()
    })
  }
}
