import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  type Awaitable,
  type Backend,
  newVersion,
  type SessionRecord,
  type StoredRecord,
  type Version,
} from '@session-stores/core'
import { Patience } from './busy.ts'
import type { SqliteDatabase, SqliteStatement } from './database.ts'

/** How many records one batch of pruning looks at: about half a millisecond's work. */
const PRUNE_BATCH = 50
/** How many records a scan reads at once: at most about 3 MB with the default `maxBytes`. */
const SCAN_BATCH = 50

// For `check_at` see the schema.
const SQL = {
  read: `
    SELECT version, user_id, created_at, expires_at, data FROM sessions WHERE id = ?`,
  write: `
    INSERT INTO sessions (id, version, user_id, created_at, expires_at, check_at, data) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
      version = excluded.version, user_id = excluded.user_id, created_at = excluded.created_at,
      expires_at = excluded.expires_at, check_at = excluded.check_at, data = excluded.data`,
  replace: `
    UPDATE sessions SET version = ?, user_id = ?, created_at = ?, expires_at = ?, data = ?
    WHERE id = ? AND version = ? AND check_at <= ?`,
  replaceEarlier: `
    UPDATE sessions SET version = ?, user_id = ?, created_at = ?, expires_at = ?, data = ?, check_at = ?
    WHERE id = ? AND version = ?`,
  exists: `
    SELECT 1 FROM sessions WHERE id = ?`,
  touch: `
    UPDATE sessions SET expires_at = max(expires_at, ?) WHERE id = ? AND version = ?`,
  remove: `
    DELETE FROM sessions WHERE id = ?`,
  ping: `
    SELECT 1 FROM sessions LIMIT 1`,
  prune: `
    DELETE FROM sessions
    WHERE expires_at <= @now
      AND rowid IN (SELECT rowid FROM sessions WHERE check_at <= @now ORDER BY check_at LIMIT @batch)`,
  checkLater: `
    UPDATE sessions SET check_at = expires_at
    WHERE expires_at > @now
      AND rowid IN (SELECT rowid FROM sessions WHERE check_at <= @now ORDER BY check_at LIMIT @batch)`,
  toCheck: `
    SELECT 1 FROM sessions WHERE check_at <= @now LIMIT 1`,
  count: `
    SELECT (SELECT count(*) FROM sessions WHERE check_at > @now)
      + (SELECT count(*) FROM sessions WHERE check_at <= @now AND expires_at > @now) AS count`,
  scan: `
    SELECT id, user_id, created_at, expires_at, data FROM sessions WHERE id > ? ORDER BY id LIMIT ?`,
  clear: `
    DELETE FROM sessions`,
}

interface Row {
  id: string
  data: string
  user_id: string | null
  created_at: number
  expires_at: number
  version: string
}

/**
 * The verbs as SQL statements on one connection. They answer at once, and become asynchronous only to try again while
 * another process is in the way.
 */
export class SqliteBackend implements Backend {
  readonly name = 'sqlite'
  readonly #reads: Patience
  readonly #writes: Patience
  #database: SqliteDatabase | undefined
  #owned = false
  #statements!: Record<keyof typeof SQL, SqliteStatement>

  /** @param timeout how long a verb waits for other processes, in ms */
  constructor(timeout: number) {
    this.#reads = new Patience(timeout, (work) => this.#atOnce(work))
    this.#writes = new Patience(timeout, (work) => this.#atOnce(work))
  }

  /**
   * To be called once, before anything else. Not the constructor, so that nothing is opened for a store that cannot be.
   * @param database with the schema in place
   * @param owned whether the connection is the store's own, and so is closed with it
   */
  connect(database: SqliteDatabase, owned: boolean): void {
    const statements = Object.entries(SQL).map(([name, sql]) => {
      const statement = database.prepare(sql)
      statement.safeIntegers(false) // a given database may have them on
      return [name, statement]
    })
    this.#database = database
    this.#owned = owned
    this.#statements = Object.fromEntries(statements)
  }

  read(key: string): Awaitable<StoredRecord | undefined> {
    return this.#ask(() => {
      const row = this.#statements.read.get(key) as Row | undefined
      return row && { record: recordOf(row), version: row.version }
    })
  }

  write(key: string, record: SessionRecord): Awaitable<Version> {
    const { data, userId = null, createdAt, expiresAt } = record
    const version = newVersion()
    return this.#change(() => {
      this.#statements.write.run(key, version, userId, createdAt, expiresAt, expiresAt, data)
      return version
    })
  }

  replace(key: string, record: SessionRecord, version: Version): Awaitable<Version | 'conflict' | 'missing'> {
    const { data, userId = null, createdAt, expiresAt } = record
    const next = newVersion()
    const { replace, replaceEarlier, exists } = this.#statements
    return this.#change(() => {
      const replaced =
        replace.run(next, userId, createdAt, expiresAt, data, key, version, expiresAt).changes > 0 ||
        replaceEarlier.run(next, userId, createdAt, expiresAt, data, expiresAt, key, version).changes > 0
      if (replaced) return next
      // Whatever is there now has another version, since none comes again.
      return exists.get(key) ? 'conflict' : 'missing'
    })
  }

  touch(key: string, expiresAt: number, version: Version): Awaitable<boolean> {
    return this.#change(() => this.#statements.touch.run(expiresAt, key, version).changes > 0)
  }

  remove(key: string): Awaitable<boolean> {
    return this.#change(() => this.#statements.remove.run(key).changes > 0)
  }

  ping(): Awaitable<void> {
    return this.#ask(() => {
      this.#statements.ping.get()
    })
  }

  close(): void {
    if (this.#owned) this.#database?.close()
  }

  prune(now: number): Awaitable<{ removed: number; done: boolean }> {
    const { prune, checkLater, toCheck } = this.#statements
    const due = { now, batch: PRUNE_BATCH }
    let removed = 0
    return this.#change(() => {
      removed += prune.run(due).changes
      checkLater.run(due)
      return { removed, done: toCheck.get({ now }) === undefined }
    })
  }

  count(now: number): Awaitable<number> {
    return this.#ask(() => (this.#statements.count.get({ now }) as { count: number }).count)
  }

  /** By key, in batches: an iterator left open would keep the write-ahead log from being emptied. */
  async *scan(): AsyncGenerator<{ key: string; record: SessionRecord }, void, undefined> {
    let last = ''
    for (;;) {
      const rows = (await this.#ask(() => this.#statements.scan.all(last, SCAN_BATCH))) as Row[]
      for (const row of rows) yield { key: row.id, record: recordOf(row) }
      const end = rows.at(-1)
      if (end === undefined) return
      last = end.id
      await nextTurn() // requests first
    }
  }

  clear(): Awaitable<void> {
    return this.#change(() => {
      this.#statements.clear.run()
    })
  }

  #ask<T>(work: () => T): Awaitable<T> {
    return this.#reads.run(this.#owned ? work : this.#outsideTransactions(work))
  }

  #change<T>(work: () => T): Awaitable<T> {
    return this.#writes.run(this.#owned ? work : this.#outsideTransactions(work))
  }

  /** A given database may wait inside SQLite, with the event loop stopped: not over and over for the same lock. */
  #atOnce<T>(work: () => T): T {
    const database = this.#database
    if (this.#owned || !database) return work()
    const usual = database.pragma('busy_timeout', { simple: true })
    database.pragma('busy_timeout = 0')
    try {
      return work()
    } finally {
      database.pragma(`busy_timeout = ${usual}`)
    }
  }

  /** What the application rolls back must not take a saved session with it, and what it reads must not be old. */
  #outsideTransactions<T>(work: () => T): () => T {
    return () => {
      if (this.#database?.inTransaction) throw new TransactionOpen()
      return work()
    }
  }
}

/** The application has left a transaction open on the connection that it gave to the store. */
class TransactionOpen extends Error {
  readonly code = 'SQLITE_BUSY'

  constructor() {
    super('the database given to the session store is inside a transaction of the application')
  }
}

function recordOf({ data, user_id, created_at, expires_at }: Row): SessionRecord {
  const record: SessionRecord = { data, createdAt: created_at, expiresAt: expires_at }
  if (user_id !== null) record.userId = user_id
  return record
}
