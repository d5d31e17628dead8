import { type Call, TryAgain } from '@session-stores/core'
import { Connection } from './connection.ts'
import { type MemjsServer, nameOf } from './driver.ts'
import type { Answer, Command } from './protocol.ts'

/** One Memcached server, and the store's connection to it. */
export class Server {
  readonly name: string
  readonly #server: MemjsServer
  #current: Connection | undefined
  /** Those that pings try out. */
  readonly #candidates = new Set<Connection>()
  #isClosed = false

  constructor(server: MemjsServer) {
    this.name = nameOf(server)
    this.#server = server
  }

  /** The connection in use; a new one where there is none that can be trusted. */
  connection(): Connection {
    if (this.#current?.isSilent) this.#current.end(this.#noAnswer())
    if (this.#current === undefined || this.#current.isOver) this.#current = this.#open()
    return this.#current
  }

  /**
   * Sends the commands to find out whether the server is there. Unless the connection in use waits for nothing, they go over
   * a new one: the other may be dead without a word. It then takes the other's place, if that is still silent.
   * @param signal aborted when nobody waits for the outcome any more
   */
  async ping(commands: readonly Command[], call: Call, signal: AbortSignal): Promise<Answer[]> {
    const current = this.#current
    if (current && !current.isOver && !current.isBusy) return current.send(commands, call)
    const received = current?.received
    const connection = this.#open()
    this.#candidates.add(connection)
    const giveUp = () => connection.end(this.#noAnswer())
    signal.addEventListener('abort', giveUp)
    try {
      const answers = await connection.send(commands, call)
      if (current === this.#current && (current?.isOver || current?.received === received)) {
        this.#current = connection
        current?.end(this.#noAnswer())
      }
      return answers
    } finally {
      signal.removeEventListener('abort', giveUp)
      this.#candidates.delete(connection)
      if (this.#current !== connection) giveUp()
    }
  }

  /** Ends the connections. None is opened any more. */
  close(): void {
    this.#isClosed = true
    const closed = new Error('the store was closed')
    this.#current?.end(closed)
    for (const connection of this.#candidates) connection.end(closed)
  }

  #open(): Connection {
    if (this.#isClosed) throw new Error('the store was closed')
    return new Connection(this.#server)
  }

  #noAnswer(): TryAgain {
    return new TryAgain(new Error(`${this.name} does not answer`))
  }
}
