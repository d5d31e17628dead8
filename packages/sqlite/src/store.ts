import { checkOptions, type OptionRules, SessionStore, type StoreOptions, storeRules } from '@session-stores/core'
import { SqliteBackend } from './backend.ts'
import { isDatabase, type SqliteDatabase } from './driver.ts'
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
   * An open database that holds nothing but the sessions: a `Database` of better-sqlite3, better-sqlite3-multiple-ciphers,
   * libsql or bun:sqlite, or a `DatabaseSync` of node:sqlite (Node 22.16 or newer). Its settings stay as they are, and it
   * stays open when the store is closed. Give it a short `timeout`: SQLite waits that long when it first meets the lock of
   * another process, with the whole server stopped. Until that lock is gone, the store then waits without stopping
   * anything. While a transaction of the application is open on it, the store waits, up to its own `timeout`.
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
    check(options)
    const { path, database, synchronous = 'NORMAL', ...rest } = options
    const backend = new SqliteBackend()
    super(backend, rest)
    backend.connect(database ? useDatabase(database) : openFile(path, synchronous))
  }
}

const rules: OptionRules = {
  path: {
    wants: "the path of a file, or ':memory:'; of a URL, fileURLToPath(url) makes one",
    isRight: (value) =>
      typeof value === 'string' && value.trim() !== '' && !value.includes('\0') && !value.trim().startsWith('file:'),
  },
  synchronous: { wants: "'NORMAL' or 'FULL', in capitals", isRight: (value) => value === 'NORMAL' || value === 'FULL' },
  database: {
    wants:
      'an open Database of better-sqlite3, libsql or bun:sqlite, or a DatabaseSync of node:sqlite (Node 22.16 or newer)',
    isRight: isDatabase,
  },
  ...storeRules,
}

/** What other stores call these options. */
const elsewhere = { client: 'database', db: 'path', dir: 'path', table: 'not needed', expired: 'pruneInterval, in ms' }

function check(options: SqliteStoreOptions): void {
  checkOptions(options, rules, elsewhere)
  const { path, database, synchronous } = options
  if ((path === undefined) === (database === undefined)) {
    throw new TypeError(
      `options must have either path or database; got ${path === undefined ? 'neither of them' : 'both'}`,
    )
  }
  if (database !== undefined && synchronous !== undefined) {
    throw new TypeError('synchronous must be left out with database: set it there with a pragma')
  }
}
