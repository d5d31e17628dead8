import Database from './driver.cjs'

/**
 * A connection of a SQLite driver, cut down to what this package uses. All else is asked for in SQL, so that another
 * synchronous driver needs no more than a class with these members.
 */
export interface Driver {
  /** Whether a transaction is open on the connection. */
  readonly inTransaction: boolean
  prepare(sql: string): Statement
  /** Runs one or more statements without values. Stops at the first that fails. */
  exec(sql: string): void
  close(): void
}

/** Takes its values by position, for drivers differ in how they name them, and gives integers as numbers. */
export interface Statement {
  run(...values: unknown[]): { changes: number }
  /** The first row; undefined when there is none. */
  get(...values: unknown[]): unknown
  all(...values: unknown[]): unknown[]
}

/** What the store uses of a better-sqlite3 `Database`: any version or build that has this will do. */
export interface SqliteDatabase {
  readonly name: string
  readonly open: boolean
  readonly readonly: boolean
  readonly inTransaction: boolean
  prepare(sql: string): SqliteStatement
  exec(sql: string): unknown
  close(): unknown
}

/** What the store uses of a better-sqlite3 `Statement`. */
export interface SqliteStatement extends Statement {
  safeIntegers(on: boolean): unknown
}

export class BetterSqlite3 implements Driver {
  readonly #database: SqliteDatabase

  constructor(database: SqliteDatabase) {
    this.#database = database
  }

  /** Opens a connection that never waits inside SQLite, which would stop the event loop. */
  static open(filename: string): BetterSqlite3 {
    return new BetterSqlite3(new Database(filename, { timeout: 0 }))
  }

  get inTransaction(): boolean {
    return this.#database.inTransaction
  }

  prepare(sql: string): Statement {
    const statement = this.#database.prepare(sql)
    statement.safeIntegers(false) // a given database may have them on
    return statement
  }

  exec(sql: string): void {
    this.#database.exec(sql)
  }

  close(): void {
    this.#database.close()
  }
}

/** SQLite's extended name of an error, such as `SQLITE_BUSY_SNAPSHOT`; undefined when it is none of SQLite's. */
export function codeOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' && code.startsWith('SQLITE_') ? code : undefined
}

/** Whether another connection is in the way, so that the same will do a moment later. SQLite has changed nothing. */
export function isBusy(error: unknown): boolean {
  return codeOf(error)?.startsWith('SQLITE_BUSY') ?? false
}

/** The value that a pragma reads or has set. */
export function pragma(driver: Driver, text: string): unknown {
  return Object.values(driver.prepare(`PRAGMA ${text}`).get() as object)[0]
}

/** Runs `work` as one transaction, which has the write lock from its beginning. */
export function transaction<T>(driver: Driver, work: () => T): T {
  driver.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    driver.exec('COMMIT')
    return result
  } finally {
    if (driver.inTransaction) driver.exec('ROLLBACK')
  }
}
