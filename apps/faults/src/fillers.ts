import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** Connections that others have to a server which takes only so many, and of which they make no use. */
export class Fillers {
  readonly #sockets: Socket[] = []

  static async on(port: number, count: number): Promise<Fillers> {
    const fillers = new Fillers()
    for (let n = 0; n < count; n += 1) {
      const socket = connect(port, '127.0.0.1').on('error', () => {})
      fillers.#sockets.push(socket)
      await once(socket, 'connect')
    }
    return fillers
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}
