import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { Connection } from './connection.ts'
import loadBetterSqlite3 from './driver.cjs'
import { codeOf, type Driver, driverFor, fileOf, isBusy, pragma, type SqliteDatabase } from './driver.ts'
import { createPrivate, DatabaseFiles } from './files.ts'
import { prepareSchema } from './schema.ts'

/** How long opening waits for other processes that are opening the same file, in ms. */
const OPEN_TIMEOUT = 10_000
/** The longest pause between two attempts, in ms. */
const MAX_PAUSE = 16
/**
 * How many pages the write-ahead log holds before a write also moves them into the database file, which takes that write
 * a few ms. Half of SQLite's default: half the time, and as many writes a second.
 */
const WAL_PAGES = 500
/** What a checkpoint leaves of a write-ahead log that once had to grow, in bytes: many times what it needs day to day. */
const WAL_SIZE_LIMIT = 16 * 1024 * 1024

/**
 * Opens a connection of the store's own to a file that may be new, or that other processes may be opening right now.
 * A new file is readable by its owner only, and so are the `-wal` and `-shm` files that SQLite puts next to it.
 */
export function openFile(path: string, synchronous: 'NORMAL' | 'FULL'): Connection {
  const BetterSqlite3 = loadBetterSqlite3() // before anything else, for it may be missing
  const isInMemory = path.trim() === ':memory:'
  // Trimmed because better-sqlite3 does it too, and this must be the same file.
  const filename = isInMemory ? ':memory:' : resolve(path.trim())
  if (!isInMemory) createPrivate(filename)
  // It never waits inside SQLite, which would stop the event loop.
  const driver = driverFor(explained(filename, () => new BetterSqlite3(filename, { timeout: 0 })))
  try {
    // SQLite answers "busy" here without any wait of its own, whatever its timeout.
    const mode = explained(filename, () => whileBusy(() => pragma(driver, 'journal_mode = WAL')))
    if (mode !== 'wal' && !isInMemory) {
      throw new Error(
        `${filename} cannot be used with a write-ahead log (journal_mode stays ${mode}): is it on a network drive?`,
      )
    }
    driver.exec(`
      PRAGMA synchronous = ${synchronous};
      PRAGMA wal_autocheckpoint = ${WAL_PAGES};
      PRAGMA journal_size_limit = ${WAL_SIZE_LIMIT}`)
    explained(filename, () => whileBusy(() => prepareSchema(driver, filename)))
    return new Connection(driver, true, isInMemory ? undefined : new DatabaseFiles(filename))
  } catch (error) {
    driver.close()
    throw error
  }
}

/**
 * Makes the table in a database of the application's, and leaves the rest as it is.
 * @throws TypeError when the database is closed, inside a transaction, or open for reading only
 */
export function useDatabase(database: SqliteDatabase): Connection {
  const driver = driverFor(database)
  const file = fileOf(driver)
  const name = file || 'the database'
  if (driver.inTransaction) throw new TypeError('database must not be inside a transaction; got one that is')
  explained(name, () => whileBusy(() => prepareSchema(driver, name)))
  if (isReadonly(driver)) throw new TypeError('database must be open for writing; got a readonly one')
  return new Connection(driver, false, existsSync(file) ? new DatabaseFiles(file) : undefined)
}

/** Found out by a change that is not carried out, since not every driver tells. */
function isReadonly(driver: Driver): boolean {
  try {
    driver.exec('BEGIN; PRAGMA user_version = 0')
    return false
  } catch (error) {
    return codeOf(error)?.startsWith('SQLITE_READONLY') ?? false
  } finally {
    if (driver.inTransaction) driver.exec('ROLLBACK')
  }
}

/** Stops the process while it waits, which is before it serves anybody. */
function whileBusy<T>(work: () => T): T {
  const deadline = performance.now() + OPEN_TIMEOUT
  for (;;) {
    try {
      return work()
    } catch (error) {
      if (!isBusy(error) || performance.now() >= deadline) throw error
      Atomics.wait(nothing, 0, 0, 1 + Math.random() * MAX_PAUSE)
    }
  }
}

const nothing = new Int32Array(new SharedArrayBuffer(4))

/** Says which file it is, which SQLite's errors do not. */
function explained<T>(filename: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const code = codeOf(error)
    if (code === undefined) throw error
    const reason =
      code === 'SQLITE_NOTADB'
        ? 'is not a SQLite database: give the sessions a file of their own'
        : `cannot be used: ${(error as Error).message} (${code})`
    throw new Error(`${filename} ${reason}`, { cause: error })
  }
}
