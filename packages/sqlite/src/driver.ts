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
  /** The first row; undefined or null when there is none. */
  get(...values: unknown[]): unknown
  all(...values: unknown[]): unknown[]
}

/** An open database of any of the drivers that the store knows. */
export type SqliteDatabase = BetterSqlite3Database | NodeSqliteDatabase

/** What the store uses of a `Database` of better-sqlite3, better-sqlite3-multiple-ciphers, libsql or bun:sqlite. */
export interface BetterSqlite3Database {
  readonly inTransaction: boolean
  prepare(sql: string): Statement & { safeIntegers(on: boolean): unknown }
  exec(sql: string): unknown
  close(): unknown
}

/** What the store uses of a `DatabaseSync` of node:sqlite. */
export interface NodeSqliteDatabase {
  /** From Node 22.16 on. */
  readonly isTransaction: boolean
  prepare(sql: string): NodeSqliteStatement
  exec(sql: string): void
  close(): void
}

export interface NodeSqliteStatement {
  run(...values: unknown[]): { changes: number | bigint }
  get(...values: unknown[]): unknown
  all(...values: unknown[]): unknown[]
  setReadBigInts(on: boolean): void
  setReturnArrays?(on: boolean): void
}

export function isDatabase(value: unknown): value is SqliteDatabase {
  if (typeof value !== 'object' || value === null) return false
  const { prepare, exec, close } = value as Partial<SqliteDatabase>
  const hasMethods = [prepare, exec, close].every((each) => typeof each === 'function')
  return hasMethods && ('inTransaction' in value || isOfNode(value))
}

export function driverFor(database: SqliteDatabase): Driver {
  return isOfNode(database) ? new NodeSqlite(database) : new BetterSqlite3(database)
}

/** Not by the value, which a closed database does not tell. */
function isOfNode(database: object): database is NodeSqliteDatabase {
  return 'isTransaction' in database
}

class BetterSqlite3 implements Driver {
  readonly #database: BetterSqlite3Database

  constructor(database: BetterSqlite3Database) {
    this.#database = database
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

class NodeSqlite implements Driver {
  readonly #database: NodeSqliteDatabase

  constructor(database: NodeSqliteDatabase) {
    this.#database = database
  }

  get inTransaction(): boolean {
    return this.#database.isTransaction
  }

  prepare(sql: string): Statement {
    const statement = this.#database.prepare(sql)
    // A given database may have either on.
    statement.setReadBigInts(false)
    statement.setReturnArrays?.(false)
    return statement as Statement
  }

  exec(sql: string): void {
    this.#database.exec(sql)
  }

  close(): void {
    this.#database.close()
  }
}

/** The results of SQLite from 1 on: https://sqlite.org/rescode.html#primary_result_code_list. */
const RESULTS = `
  ERROR INTERNAL PERM ABORT BUSY LOCKED NOMEM READONLY INTERRUPT IOERR CORRUPT NOTFOUND FULL CANTOPEN PROTOCOL EMPTY
  SCHEMA TOOBIG CONSTRAINT MISMATCH MISUSE NOLFS AUTH FORMAT RANGE NOTADB`
  .trim()
  .split(/\s+/)

/** SQLite's name of an error, such as `SQLITE_BUSY` or `SQLITE_BUSY_SNAPSHOT`; undefined when it is none of SQLite's. */
export function codeOf(error: unknown): string | undefined {
  const { code, errcode } = (error ?? {}) as { code?: unknown; errcode?: unknown }
  if (typeof code === 'string' && code.startsWith('SQLITE_')) return code
  // node:sqlite has a number instead, whose lowest byte says what kind of error it is.
  return typeof errcode === 'number' ? `SQLITE_${RESULTS[(errcode & 0xff) - 1]}` : undefined
}

/** Whether another connection is in the way, so that the same will do a moment later. SQLite has changed nothing. */
export function isBusy(error: unknown): boolean {
  return codeOf(error)?.startsWith('SQLITE_BUSY') ?? false
}

/** The value that a pragma reads or has set. */
export function pragma(driver: Driver, text: string): unknown {
  return Object.values(driver.prepare(`PRAGMA ${text}`).get() as object)[0]
}

/**
 * The path of the file; empty for a database in memory.
 * @throws TypeError when the database is closed
 */
export function fileOf(driver: Driver): string {
  try {
    // As a pragma, which does not read the file: it may be none of SQLite's.
    const databases = driver.prepare('PRAGMA database_list').all() as Array<{ name: string; file: string | null }>
    return databases.find(({ name }) => name === 'main')?.file ?? ''
  } catch (cause) {
    if (codeOf(cause) !== undefined) throw cause
    throw new TypeError('database must be open; got a closed one', { cause })
  }
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
