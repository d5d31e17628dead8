import { randomInt } from 'node:crypto'
import type { Socket } from 'node:net'
import type { MemjsServer } from './memjs.ts'

/** Where our request numbers begin. memjs' own count up from 1 and never get here; ours never leave the upper half. */
const FIRST_OPAQUE = 0x8000_0000
const LAST_OPAQUE = 0xffff_ffff

const known = new WeakMap<MemjsServer, Connection>()

/**
 * memjs' connection to one server, mended where memjs 1.3.2 lets the end of one connection spoil the next:
 *
 * - A connection that the server closed leaves its requests waiting for ever. Here they fail at once.
 * - One given up after a timeout goes on delivering: late answers run into the new connection's, and when it closes at
 *   last, it takes the new one with it. Here it is let go of entirely.
 * - Half an answer that was received stays in the buffer, and the first answers of the next connection are read as its rest.
 *   Here each connection begins with an empty buffer.
 * - A request that waited for a log-in that never came is sent after a later log-in. Here it is forgotten.
 */
export class Connection {
  /** How many connections are over: whoever remembers something about the server asks again when it has changed. */
  over = 0
  readonly #server: MemjsServer
  #socket: Socket | undefined
  /** Begins anywhere, so that another copy of this package, which has numbers of its own, is not met. */
  #opaque = randomInt(FIRST_OPAQUE, LAST_OPAQUE)

  /** The one for this server, however many stores use it. */
  static of(server: MemjsServer): Connection {
    let connection = known.get(server)
    if (connection === undefined) {
      connection = new Connection(server)
      known.set(server, connection)
    }
    return connection
  }

  private constructor(server: MemjsServer) {
    this.#server = server
    const { sock, error } = server
    server.sock = (sasl, go) => {
      if (server._socket === undefined) this.#letGo()
      sock.call(server, sasl, go)
      if (server._socket !== undefined && server._socket !== this.#socket) this.#take(server._socket)
    }
    server.error = (reason) => {
      this.#letGo()
      error.call(server, reason instanceof Error ? reason : new Error(String(reason)))
    }
  }

  /** A number that no other request in flight on this connection has. */
  nextOpaque(): number {
    this.#opaque = this.#opaque === LAST_OPAQUE ? FIRST_OPAQUE : this.#opaque + 1
    return this.#opaque
  }

  /** Gives the connection up: every request in flight fails with this error, and the next one connects anew. */
  fail(error: Error): void {
    this.#server.error(error)
  }

  #take(socket: Socket): void {
    this.#socket = socket
    socket.on('close', () => {
      if (socket === this.#socket) this.fail(new Error('the server closed the connection'))
    })
  }

  #letGo(): void {
    const socket = this.#socket
    this.#socket = undefined
    this.#server.connected = false
    this.#server.responseBuffer = Buffer.alloc(0)
    this.#server.removeAllListeners('authenticated')
    if (socket === undefined) return
    this.over += 1
    for (const event of ['connect', 'data', 'error', 'timeout', 'close']) socket.removeAllListeners(event)
    socket.on('error', () => {}) // of no interest any more, and without a listener it would end the process
    socket.destroy()
  }
}
