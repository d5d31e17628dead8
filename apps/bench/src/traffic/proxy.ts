import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Stands between an application and a server on loopback, and counts what goes through. */
export class CountingProxy {
  /** Bytes from the application to the server, and back. */
  sent = 0
  received = 0
  /** How many pieces the application's bytes came in: commands that were written at once are one. */
  pieces = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  static async to(port: number): Promise<CountingProxy> {
    const proxy = new CountingProxy(port)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  private constructor(port: number) {
    this.#server = createServer((application) => this.#join(application, connect(port, '127.0.0.1')))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async stop(): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server, 'close')
  }

  #join(application: Socket, server: Socket): void {
    for (const [socket, other] of [
      [application, server],
      [server, application],
    ] as const) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
    application.on('data', (chunk) => {
      this.sent += chunk.length
      this.pieces += 1
    })
    server.on('data', (chunk) => {
      this.received += chunk.length
    })
  }
}
