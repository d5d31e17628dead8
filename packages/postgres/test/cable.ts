import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** A network cable to a server, to be tampered with. */
export class Cable {
  /** Both ends of each connection: ours first. */
  readonly #connections = new Set<readonly [Socket, Socket]>()
  readonly #server: Server
  #cut = false

  private constructor(port: number) {
    this.#server = createServer((near) => {
      const far = connect(port, '127.0.0.1')
      const connection = [near, far] as const
      this.#connections.add(connection)
      for (const [from, to] of [connection, [far, near] as const]) {
        from.on('data', (data) => to.write(data))
        from.on('error', () => {})
        from.on('close', () => {
          this.#connections.delete(connection)
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

  get url(): string {
    return `postgres://postgres@127.0.0.1:${(this.#server.address() as AddressInfo).port}/postgres`
  }

  /** Nothing comes through any more, and nobody is told. */
  cut(): void {
    this.#cut = true
    this.silence()
  }

  /** What was under way arrives late, as TCP has it. */
  mend(): void {
    this.#cut = false
    for (const socket of this.#sockets()) socket.resume()
  }

  /** Of the connections there are, nothing comes through any more, and nobody is told. New ones work. */
  silence(): void {
    for (const socket of this.#sockets()) socket.pause()
  }

  /** The connections there are answer whatever is sent over them with a reset, as a router that has forgotten them. */
  forget(): void {
    for (const [near, far] of this.#connections) {
      near.removeAllListeners('data').on('data', () => near.resetAndDestroy())
      far.destroy()
      far.removeAllListeners('close')
    }
  }

  async dispose(): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets()) socket.destroy()
    await once(this.#server, 'close')
  }

  #sockets(): Socket[] {
    return [...this.#connections].flat()
  }
}
