import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** A network cable to a server: when it is cut, nothing comes through and nobody is told. */
export class Cable {
  readonly #sockets = new Set<Socket>()
  readonly #server: Server
  #cut = false

  private constructor(port: number) {
    this.#server = createServer((near) => {
      const far = connect(port, '127.0.0.1')
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from)
        from.on('data', (data) => to.write(data))
        from.on('error', () => {})
        from.on('close', () => {
          this.#sockets.delete(from)
          if (!this.#cut) to.destroy()
        })
        if (this.#cut) from.pause()
      }
    })
  }

  static async to(port: number): Promise<Cable> {
    const cable = new Cable(port)
    cable.#server.listen(0, '127.0.0.1')
    await once(cable.#server, 'listening')
    return cable
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  cut(): void {
    this.#cut = true
    for (const socket of this.#sockets) socket.pause()
  }

  /** What was under way arrives late, as TCP has it. */
  mend(): void {
    this.#cut = false
    for (const socket of this.#sockets) socket.resume()
  }

  async dispose(): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server, 'close')
  }
}
