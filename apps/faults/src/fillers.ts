import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/**
 * Connections of somebody else's, of which a server has only so many. Opened until one is refused, or is open for half a
 * second without a word where others would have got one.
 */
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
