import { connect } from 'node:net'

/** What a connection of `pg` knows about itself. */
export interface Cancellable {
  host?: string
  port?: number
  processID?: unknown
  secretKey?: unknown
}

/** The number that marks a connection as one that only cancels, by the protocol. */
const CANCEL_REQUEST = 80877102

/**
 * Asks the server to stop what it does for this connection, by the protocol's way: over another one, without waiting
 * for an answer, since there is none. Resolves when the server has taken note, or after `within` ms; never rejects.
 */
export function cancelQuery({ host, port, processID, secretKey }: Cancellable, within: number): Promise<void> {
  if (!host || !port || typeof processID !== 'number' || typeof secretKey !== 'number') return Promise.resolve()
  const request = Buffer.alloc(16)
  request.writeInt32BE(16, 0)
  request.writeInt32BE(CANCEL_REQUEST, 4)
  request.writeInt32BE(processID, 8)
  request.writeInt32BE(secretKey, 12)
  return new Promise((resolve) => {
    const socket = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host)
    const timer = setTimeout(() => socket.destroy(), within)
    socket.on('connect', () => socket.write(request))
    socket.on('data', () => socket.destroy()) // no server says anything here
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
