import type {
  Backend,
  Batch,
  Change,
  ChangeAnswer,
  Cutoff,
  Finding,
  KeyedRecord,
  SessionRecord,
  StoredRecord,
  Version,
  Work,
} from '@session-stores/core'
import { Changes } from './changes.ts'
import type { Connection, Part } from './connection.ts'
import { isBusy, type Statement } from './driver.ts'
import { SQL } from './statements.ts'

/**
 * How many records one batch prunes, clears, scans or finds: usually half a millisecond's work, of the largest ones some ms.
 * Deleting costs no less a record in larger ones.
 */
const BATCH = 50
/** How many records one batch looks at in the order of the file: about half a millisecond's work. */
const WALK_BATCH = 2000
/** The farthest time from the epoch that a date can have, in ms. */
const MAX_TIME = 8.64e15
/** The verbs that take no write lock. */
const READS: ReadonlySet<Work['verb']> = new Set(['read', 'count', 'scan', 'findByUser', 'ping', 'check'])

interface Row {
  id: string
  data: string
  user_id: string | null
  created_at: number
  expires_at: number
  version: string
}

/** The verbs as SQL statements on one connection. They answer at once. */
export class SqliteBackend implements Backend {
  readonly name = 'sqlite'
  readonly isSynchronous = true
  #connection!: Connection
  #statements!: Record<keyof typeof SQL, Statement>
  #changes!: Changes

  /** To be called once, before anything else. Not in the constructor, so that a store with wrong options opens nothing. */
  connect(connection: Connection): void {
    const statements = Object.entries(SQL).map(([name, sql]) => [name, connection.prepare(sql)])
    this.#connection = connection
    this.#statements = Object.fromEntries(statements)
    this.#changes = new Changes(this.#statements)
  }

  read(key: string): StoredRecord | undefined {
    return this.#connection.read(() => {
      const row = this.#statements.read.get(key) as Row | undefined | null
      return row ? { record: recordOf(row), version: row.version } : undefined
    })
  }

  write(key: string, record: SessionRecord, version: Version): void {
    this.#connection.write(() => this.#changes.write(key, record, version))
  }

  insert(key: string, record: SessionRecord, version: Version): 'inserted' | 'exists' {
    return this.#connection.write(() => this.#changes.insert(key, record, version))
  }

  replace(
    key: string,
    record: SessionRecord,
    version: Version,
    expected: Version,
  ): 'replaced' | 'conflict' | 'missing' {
    return this.#connection.write(() => this.#changes.replace(key, record, version, expected))
  }

  touch(key: string, expiresAt: number, expected: Version): boolean {
    return this.#connection.write(() => this.#changes.touch(key, expiresAt, expected))
  }

  remove(key: string): boolean {
    return this.#connection.write(() => this.#changes.remove(key))
  }

  /** As one transaction, so that the disk and the lock are asked once. Answered when it is committed. */
  changeMany(changes: Change[]): Array<ChangeAnswer | Error> {
    return this.#connection.transaction(() => changes.map((change) => this.#changeOne(change)))
  }

  /** What fails undoes itself and nothing else, except for what SQLite undoes the whole transaction for. */
  #changeOne(change: Change): ChangeAnswer | Error {
    try {
      return this.#changes.make(change)
    } catch (error) {
      if (isBusy(error) || !this.#connection.inTransaction || !(error instanceof Error)) throw error
      return error
    }
  }

  partOf({ verb }: Work): Part {
    return READS.has(verb) ? 'reads' : 'writes'
  }

  ping(work: Work): void {
    if (this.partOf(work) === 'reads') this.#connection.read(() => this.#statements.ping.get())
    else this.#connection.transaction(() => {}) // takes the write lock, and writes nothing
  }

  check(): Finding[] {
    return this.#connection.check()
  }

  close(): void {
    this.#connection.close()
  }

  /** First by expiry, in as many batches as that takes; then, if sessions are to end by their age, by that. */
  prune({ expiresAt, createdAt }: Cutoff, from = 'due'): Batch & { removed: number } {
    if (from !== 'due') return this.#pruneOld(createdAt, Number(from))
    const { prune, checkLater } = this.#statements
    return this.#connection.transaction(() => {
      const removed = prune.run(expiresAt, expiresAt, BATCH).changes
      const prolonged = checkLater.run(expiresAt, expiresAt, BATCH).changes
      // What was looked at is not due any more: the next batch begins at the beginning again.
      if (removed + prolonged >= BATCH) return { removed, next: 'due' }
      return { removed, next: createdAt > -MAX_TIME ? '0' : undefined }
    })
  }

  /** @param from the rowid up to which all have been looked at */
  #pruneOld(createdAt: number, from: number): Batch & { removed: number } {
    return this.#connection.write(() => {
      const found = this.#statements.findOld.get(createdAt, from, WALK_BATCH)
      const { old, looked, last } = found as { old: number; looked: number; last: number }
      const removed = old > 0 ? this.#statements.pruneOld.run(createdAt, from, last, BATCH).changes : 0
      if (removed < old) return { removed, next: `${from}` }
      return { removed, next: looked < WALK_BATCH ? undefined : `${last}` }
    })
  }

  count({ expiresAt, createdAt }: Cutoff, from = '0'): Batch & { count: number } {
    return this.#connection.read(() => {
      const counted = this.#statements.count.get(expiresAt, createdAt, Number(from), WALK_BATCH)
      const { live, looked, last } = counted as { live: number; looked: number; last: number }
      return { count: live, next: looked < WALK_BATCH ? undefined : `${last}` }
    })
  }

  /** An open iterator in place of batches would keep the write-ahead log from being emptied. */
  scan(from = ''): Batch & { records: KeyedRecord[] } {
    return this.#connection.read(() => batchOf(this.#statements.scan.all(from, BATCH) as Row[]))
  }

  /** @param from the rowid of the last that was there at the beginning: sessions that begin meanwhile do not make it endless */
  clear(from?: string): Batch {
    const { last, clear } = this.#statements
    return this.#connection.write(() => {
      const place = from ?? `${(last.get() as { place: number }).place}`
      const { changes } = clear.run(Number(place), BATCH)
      return { next: changes < BATCH ? undefined : place }
    })
  }

  findByUser(userId: string, from = ''): Batch & { records: KeyedRecord[] } {
    return this.#connection.read(() => batchOf(this.#statements.findByUser.all(userId, from, BATCH) as Row[]))
  }

  removeOfUser(userId: string, keys: string[]): number {
    const { removeOfUser } = this.#statements
    return this.#connection.write(() => removeOfUser.run(userId, JSON.stringify(keys)).changes)
  }
}

function batchOf(rows: Row[]): Batch & { records: KeyedRecord[] } {
  const records = rows.map((row) => ({ key: row.id, record: recordOf(row) }))
  return { records, next: rows.length < BATCH ? undefined : rows.at(-1)?.id }
}

function recordOf({ data, user_id, created_at, expires_at }: Row): SessionRecord {
  const record: SessionRecord = { data, createdAt: created_at, expiresAt: expires_at }
  if (user_id !== null) record.userId = user_id
  return record
}
