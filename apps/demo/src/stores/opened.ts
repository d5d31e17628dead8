import type { SessionStore, StoreOptions } from '@session-stores/core'
import type { OwnServer } from './own-server.ts'

export interface Setup {
  dataFolder: string
  env: NodeJS.ProcessEnv
  /** What every store understands. */
  options: StoreOptions
}

export interface OpenedStore {
  store: SessionStore
  /** Where sessions are, for people: `in memory`. Never an address with a password in it. */
  where: string
  /** What the server holds of the session with this handle, asked past the store; undefined when there is nothing. */
  atRest(handle: string): Promise<string | undefined>
  /** Whether what sessions hold is sealed. */
  isSealed: boolean
  /** The server, where it was started for the demo alone. */
  server?: OwnServer | undefined
  /** Closes the client that the store was given, for a store closes only what it opened itself; and stops the demo's own server. */
  close(): Promise<void>
}

/** What opening a store of one kind gives. */
export type Opened = Omit<OpenedStore, 'isSealed'>

/** A driver tells of a lost connection twice: here, and by the request that failed and is logged. The latter will do. */
export function ignore(): void {}

/** A row of a table, one line a column. */
export function rowText(row: object | undefined): string | undefined {
  if (!row) return undefined
  const lines = Object.entries(row).map(([name, value]) => {
    if (Buffer.isBuffer(value)) return `${name}: ${value.toString('base64url')}`
    return `${name}: ${typeof value === 'object' ? JSON.stringify(value) : value}`
  })
  return lines.join('\n')
}
