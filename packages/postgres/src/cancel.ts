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
/** When a request is given up that does not get through, in ms: nobody waits for it but a connection to be closed. */
const GIVE_UP_AFTER = 500

/**
 * Asks the server to stop what it does for this connection, by the protocol's way (PostgreSQL manual, "Canceling Requests
 * in Progress"): over another connection, without an answer. `pg` has a method for that too, `client.cancel`, which is not
 * documented and warns of its own removal. Resolves when the server has taken note, or does not; never rejects.
 */
export function cancelQuery({ host, port, processID, secretKey }: Cancellable): Promise<void> {
  if (!host || !port || typeof processID !== 'number' || typeof secretKey !== 'number') return Promise.resolve()
  const request = Buffer.alloc(16)
  request.writeInt32BE(16, 0)
  request.writeInt32BE(CANCEL_REQUEST, 4)
  request.writeInt32BE(processID, 8)
  request.writeInt32BE(secretKey, 12)
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(GIVE_UP_AFTER)
    const socket = connect(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}`, signal } : { host, port, signal })
    socket.on('connect', () => socket.write(request))
    socket.on('data', () => socket.destroy()) // no server says anything here
    socket.on('error', () => {})
    socket.on('close', () => resolve())
  })
}
