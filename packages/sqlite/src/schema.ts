import { accessSync, closeSync, constants, existsSync, openSync } from 'node:fs'
import { resolve } from 'node:path'
import { retryBusySync } from './busy.ts'
import type { SqliteDatabase } from './database.ts'
import Database from './driver.cjs'

/** How long opening waits for other processes that are opening the same file, in ms. */
const OPEN_TIMEOUT = 10_000
/**
 * How many pages the write-ahead log holds before a write also moves them into the database file, which takes that write
 * a few ms. Half of SQLite's default: half the time, and as many writes a second.
 */
const WAL_PAGES = 500
/** What a checkpoint leaves of a write-ahead log that once had to grow, in bytes: many times what it needs day to day. */
const WAL_SIZE_LIMIT = 16 * 1024 * 1024

/**
 * The steps from each version of the schema to the next. The version is kept in the file's `user_version`.
 *
 * Pruning needs an index over time, but one on `expires_at` would double the cost of every save and touch, which
 * nearly always move it. So the index is on `check_at`, a moment at or before `expires_at`, which stays where it is while the
 * expiry moves on. When it comes, pruning looks at the record, and either deletes it or moves `check_at` to `expires_at`.
 */
const MIGRATIONS = [
  `CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY, -- SHA-256 of the session id, base64url
    version TEXT NOT NULL,        -- new with every write; a touch leaves it
    user_id TEXT,                 -- whose session it is, if known
    created_at INTEGER NOT NULL,  -- ms since the epoch
    expires_at INTEGER NOT NULL,  -- ms since the epoch
    check_at INTEGER NOT NULL,    -- when to see whether it has expired; never later than expires_at
    data TEXT NOT NULL            -- the serialized session; last, because it can be long
  ) STRICT;
  CREATE INDEX sessions_check_at ON sessions (check_at);`,
]
const VERSION = MIGRATIONS.length
const COLUMNS = 'id,version,user_id,created_at,expires_at,check_at,data'

/**
 * Opens a connection of the store's own to a file that may be new, or that other processes may be opening right now.
 * A new file is readable by its owner only, and so are the `-wal` and `-shm` files that SQLite puts next to it.
 */
export function openDatabase(path: string, synchronous: 'NORMAL' | 'FULL'): SqliteDatabase {
  const inMemory = path.trim() === ':memory:'
  // Trimmed because better-sqlite3 does it too, and this must be the same file.
  const filename = inMemory ? ':memory:' : resolve(path.trim())
  if (!inMemory) createPrivate(filename)
  // No wait inside SQLite: it would stop the event loop.
  const database: SqliteDatabase = explained(filename, () => new Database(filename, { timeout: 0 }))
  try {
    // SQLite answers "busy" here without any wait of its own, whatever its timeout.
    const mode = explained(filename, () => database.pragma('journal_mode = WAL', { simple: true }))
    if (mode !== 'wal' && !inMemory) {
      throw new Error(
        `${filename} cannot be used with a write-ahead log (journal_mode stays ${mode}): is it on a network drive?`,
      )
    }
    database.pragma(`synchronous = ${synchronous}`)
    database.pragma(`wal_autocheckpoint = ${WAL_PAGES}`)
    database.pragma(`journal_size_limit = ${WAL_SIZE_LIMIT}`)
    prepareSchema(database)
  } catch (error) {
    database.close()
    throw error
  }
  return database
}

/** Makes the table where there is none. Fails, and changes nothing, if the database belongs to something else. */
export function prepareSchema(database: SqliteDatabase): void {
  explained(database.name, () => {
    if (versionOf(database) === VERSION) return
    database.exec('BEGIN IMMEDIATE')
    try {
      // Again, now that no other process can do the same meanwhile.
      for (const migration of MIGRATIONS.slice(versionOf(database))) database.exec(migration)
      database.pragma(`user_version = ${VERSION}`)
      database.exec('COMMIT')
    } finally {
      if (database.inTransaction) database.exec('ROLLBACK')
    }
  })
}

function versionOf(database: SqliteDatabase): number {
  const statement = database.prepare(`
    SELECT
      (SELECT user_version FROM pragma_user_version) AS version,
      (SELECT count(*) FROM sqlite_schema) AS objects,
      (SELECT group_concat(name) FROM pragma_table_info('sessions')) AS columns`)
  statement.safeIntegers(false)
  const { version, objects, columns } = statement.get() as { version: number; objects: number; columns: string | null }
  if (version > VERSION) {
    throw new Error(
      `${database.name} has session schema version ${version}, and this @session-stores/sqlite knows versions up to ${VERSION}: ` +
        'update the package, or give the sessions a database of their own',
    )
  }
  const isNew = version === 0 && objects === 0
  if (!isNew && (version !== VERSION || columns !== COLUMNS)) {
    throw new Error(
      `${database.name} holds something other than the sessions of @session-stores/sqlite: give them a database of their own`,
    )
  }
  return version
}

/** Makes the file where there is none, and sees to it that the store may write to one that is there. */
function createPrivate(filename: string): void {
  try {
    closeSync(openSync(filename, 'ax', 0o600))
    return
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  // SQLite would open it for reading only, and every save would fail. Opening it to find out, and closing it again, would
  // drop the locks that this process may have on it.
  if (existsSync(filename)) accessSync(filename, constants.R_OK | constants.W_OK)
  // A symbolic link to a file that is not there yet
  else closeSync(openSync(filename, 'a', 0o600))
}

/** Says which file it is, which SQLite's errors do not. */
function explained<T>(filename: string, work: () => T): T {
  try {
    return retryBusySync(work, OPEN_TIMEOUT)
  } catch (error) {
    const { code, message } = error as { code?: unknown; message: string }
    if (typeof code !== 'string' || !code.startsWith('SQLITE_')) throw error
    const reason =
      code === 'SQLITE_NOTADB'
        ? 'is not a SQLite database: give the sessions a file of their own'
        : `cannot be used: ${message} (${code})`
    throw new Error(`${filename} ${reason}`, { cause: error })
  }
}
