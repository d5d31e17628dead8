import type {
  Backend,
  Batch,
  Cutoff,
  KeyedRecord,
  SessionRecord,
  StoredRecord,
  Version,
  Work,
} from '@session-stores/core'
import type { Connection, Part } from './connection.ts'
import type { Statement } from './driver.ts'
import { SQL } from './statements.ts'

/** How many records one batch prunes, scans or clears: usually half a millisecond's work, of the largest ones some ms. */
const BATCH = 50
/** How many records one batch looks at in the order of the file: about half a millisecond's work. */
const WALK_BATCH = 2000
/** The farthest time from the epoch that a date can have, in ms. */
const MAX_TIME = 8.64e15

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
  #connection!: Connection
  #statements!: Record<keyof typeof SQL, Statement>

  /** To be called once, before anything else. Not in the constructor, so that a store with wrong options opens nothing. */
  connect(connection: Connection): void {
    const statements = Object.entries(SQL).map(([name, sql]) => [name, connection.prepare(sql)])
    this.#connection = connection
    this.#statements = Object.fromEntries(statements)
  }

  read(key: string): StoredRecord | undefined {
    return this.#connection.run('reads', () => {
      const row = this.#statements.read.get(key) as Row | undefined
      return row && { record: recordOf(row), version: row.version }
    })
  }

  write(key: string, record: SessionRecord, version: Version): void {
    const { data, userId = null, createdAt, expiresAt } = record
    this.#connection.run('writes', () => {
      this.#statements.write.run(key, version, userId, createdAt, expiresAt, expiresAt, data)
    })
  }

  replace(
    key: string,
    record: SessionRecord,
    version: Version,
    expected: Version,
  ): 'replaced' | 'conflict' | 'missing' {
    const { data, userId = null, createdAt, expiresAt } = record
    const { replace, replaceEarlier, version: storedVersion } = this.#statements
    return this.#connection.run('writes', () => {
      const isReplaced =
        replace.run(version, userId, createdAt, expiresAt, data, key, expected, expiresAt).changes > 0 ||
        replaceEarlier.run(version, userId, createdAt, expiresAt, data, expiresAt, key, expected).changes > 0
      if (isReplaced) return 'replaced'
      // Whatever is there by now is not at `expected`, since no version comes again.
      const row = storedVersion.get(key) as Pick<Row, 'version'> | undefined
      if (row === undefined) return 'missing'
      return row.version === version ? 'replaced' : 'conflict'
    })
  }

  touch(key: string, expiresAt: number, expected: Version): boolean {
    return this.#connection.run('writes', () => this.#statements.touch.run(expiresAt, key, expected).changes > 0)
  }

  remove(key: string): boolean {
    return this.#connection.run('writes', () => this.#statements.remove.run(key).changes > 0)
  }

  partOf({ verb }: Work): Part {
    return verb === 'read' || verb === 'count' || verb === 'scan' || verb === 'ping' ? 'reads' : 'writes'
  }

  ping(work: Work): void {
    const part = this.partOf(work)
    this.#connection.run(part, () => {
      if (part === 'reads') this.#statements.ping.get()
      else this.#connection.transaction(() => {}) // takes the write lock, and writes nothing
    })
  }

  close(): void {
    this.#connection.close()
  }

  /** First by expiry, in as many batches as that takes; then, if sessions are to end by their age, by that. */
  prune({ expiresAt, createdAt }: Cutoff, from = 'due'): Batch & { removed: number } {
    if (from !== 'due') return this.#pruneOld(createdAt, Number(from))
    const { prune, checkLater } = this.#statements
    return this.#connection.run('writes', () =>
      this.#connection.transaction(() => {
        const removed = prune.run(expiresAt, expiresAt, BATCH).changes
        const prolonged = checkLater.run(expiresAt, expiresAt, BATCH).changes
        // What was looked at is not due any more: the next batch begins at the beginning again.
        if (removed + prolonged >= BATCH) return { removed, next: 'due' }
        return { removed, next: createdAt > -MAX_TIME ? '0' : undefined }
      }),
    )
  }

  /** @param from the rowid up to which all have been looked at */
  #pruneOld(createdAt: number, from: number): Batch & { removed: number } {
    return this.#connection.run('writes', () => {
      const found = this.#statements.findOld.get(createdAt, from, WALK_BATCH)
      const { old, looked, last } = found as { old: number; looked: number; last: number }
      const removed = old > 0 ? this.#statements.pruneOld.run(createdAt, from, last, BATCH).changes : 0
      if (removed < old) return { removed, next: `${from}` }
      return { removed, next: looked < WALK_BATCH ? undefined : `${last}` }
    })
  }

  count({ expiresAt, createdAt }: Cutoff, from = '0'): Batch & { count: number } {
    return this.#connection.run('reads', () => {
      const counted = this.#statements.count.get(expiresAt, createdAt, Number(from), WALK_BATCH)
      const { live, looked, last } = counted as { live: number; looked: number; last: number }
      return { count: live, next: looked < WALK_BATCH ? undefined : `${last}` }
    })
  }

  /** An open iterator in place of batches would keep the write-ahead log from being emptied. */
  scan(from = ''): Batch & { records: KeyedRecord[] } {
    return this.#connection.run('reads', () => {
      const rows = this.#statements.scan.all(from, BATCH) as Row[]
      const records = rows.map((row) => ({ key: row.id, record: recordOf(row) }))
      return { records, next: rows.length < BATCH ? undefined : rows.at(-1)?.id }
    })
  }

  /** By id, so that sessions that begin meanwhile do not make it endless. */
  clear(from = ''): Batch {
    const { lastOfBatch, clear, clearRest } = this.#statements
    return this.#connection.run('writes', () => {
      const last = lastOfBatch.get(from, BATCH - 1) as Pick<Row, 'id'> | undefined
      if (last) clear.run(from, last.id)
      else clearRest.run(from)
      return { next: last?.id }
    })
  }
}

function recordOf({ data, user_id, created_at, expires_at }: Row): SessionRecord {
  const record: SessionRecord = { data, createdAt: created_at, expiresAt: expires_at }
  if (user_id !== null) record.userId = user_id
  return record
}
