import { SessionStore, type StoreOptions } from '@session-stores/core'
import { SqliteBackend } from './backend.ts'
import type { SqliteDatabase } from './driver.ts'
import { openFile, useDatabase } from './open.ts'

export type SqliteStoreOptions = FileOptions | DatabaseOptions

/** The store opens a connection of its own, and closes it. */
export interface FileOptions extends StoreOptions {
  /**
   * The file with the sessions; made if it is not there, with mode 0600. It must be on a local disk and hold nothing
   * else. `':memory:'` keeps the sessions in memory.
   */
  path: string

  /**
   * What is safe when the power fails. With either, no acknowledged save or log-out is lost when the process crashes or
   * is killed, and the file is never damaged. `'NORMAL'`: when the machine itself goes down, the last
   * moments may be lost, log-outs among them. `'FULL'`: nothing is lost, and every write waits for the disk.
   * @default 'NORMAL'
   */
  synchronous?: 'NORMAL' | 'FULL' | undefined

  database?: undefined
}

/** The store uses a connection of the application's. */
export interface DatabaseOptions extends StoreOptions {
  /**
   * An open better-sqlite3 database that holds nothing but the sessions. Its settings stay as they are, and it stays open
   * when the store is closed. Give it a short `timeout`: SQLite waits that long when it first meets the lock of another
   * process, with the whole server stopped. Until that lock is gone, the store then waits without stopping anything.
   * While a transaction of the application is open on it, the store waits, up to its own `timeout`.
   */
  database: SqliteDatabase

  path?: undefined
  synchronous?: undefined
}

/**
 * Keeps sessions in a SQLite file, for one or many processes on one machine.
 *
 * @typeParam Session what the application keeps in a session; `Fastify.Session` for what `request.session` holds
 */
// biome-ignore lint/suspicious/noExplicitAny: see SessionStore
export class SqliteStore<Session extends object = any> extends SessionStore<Session> {
  /**
   * Opens the database, and makes the table where there is none.
   * @throws TypeError that names the wrong option
   * @throws Error when the file cannot be opened, is not a SQLite database, or holds something else
   */
  constructor(options: SqliteStoreOptions) {
    checkOptions(options)
    const { path, database, synchronous = 'NORMAL', ...rest } = options
    const backend = new SqliteBackend()
    super(backend, rest)
    backend.connect(database ? useDatabase(database) : openFile(path, synchronous))
  }
}

function checkOptions(options: SqliteStoreOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`options must be an object with a path or a database; got ${kindOf(options)}`)
  }
  const { path, database, synchronous } = options as { path: unknown; database: unknown; synchronous: unknown }
  if ((path === undefined) === (database === undefined)) {
    throw new TypeError(
      `options must have either path or database; got ${path === undefined ? 'neither of them' : 'both'}`,
    )
  }
  if (path !== undefined) checkPath(path)
  else checkDatabase(database)
  if (synchronous === undefined) return
  if (synchronous !== 'NORMAL' && synchronous !== 'FULL') {
    throw new TypeError(`synchronous must be 'NORMAL' or 'FULL', in capitals; got ${kindOf(synchronous)}`)
  }
  if (path === undefined) {
    throw new TypeError('synchronous must be left out with database: set it there with a pragma')
  }
}

function checkPath(path: unknown): void {
  const must = "path must be the path of a file, or ':memory:'"
  if (path instanceof URL) throw new TypeError(`${must}; got a URL: use fileURLToPath(url)`)
  if (typeof path !== 'string') throw new TypeError(`${must}; got ${kindOf(path)}`)
  if (path.trim() === '') throw new TypeError(`${must}; got an empty string`)
  if (path.includes('\0')) throw new TypeError(`${must}; got a string with a NUL character`)
  if (path.trim().startsWith('file:')) throw new TypeError(`${must}; got a URL: use fileURLToPath(url)`)
}

function checkDatabase(database: unknown): void {
  const { prepare, exec, close, open, readonly, inTransaction } = (database ?? {}) as Partial<SqliteDatabase>
  const isDatabase = [prepare, exec, close].every((each) => typeof each === 'function') && typeof open === 'boolean'
  if (!isDatabase) {
    throw new TypeError(
      `database must be an open Database of better-sqlite3, new Database(path); got ${kindOf(database)}`,
    )
  }
  if (!open) throw new TypeError('database must be open; got a closed one')
  if (readonly) throw new TypeError('database must be open for writing; got a readonly one')
  if (inTransaction) throw new TypeError('database must not be inside a transaction; got one that is')
}

/** Never the value itself, which may hold a password. */
function kindOf(value: unknown): string {
  if (value === null || value === undefined) return `${value}`
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
