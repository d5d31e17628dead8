import { setTimeout as sleep } from 'node:timers/promises'
import { type Backend, newVersion, type SessionRecord, type StoredRecord, type Version } from '@session-stores/core'
import type { Connections, PostgresResult } from './connections.ts'
import { fromColumn, toColumn } from './json.ts'
import type { Schema } from './schema.ts'
import type { Statement, Statements } from './statements.ts'

/** How many records one statement of pruning deletes. */
const PRUNE_BATCH = 500
/** How long it rests after a batch with more to come, in times of what that took: requests are to notice nothing. */
const PRUNE_REST = 3
/** The least time that a ping may take, in ms. */
const LEAST_PING_TIMEOUT = 100
/** How many records a scan reads at once: at most about 6 MB with the default `maxBytes`. */
const SCAN_BATCH = 100
/** How long counting may take, in ms: as long as core lets it. */
const WHOLE_TABLE_TIMEOUT = 60_000
/** How many records one statement of clearing deletes. */
const CLEAR_BATCH = 2000

/** A place in the index on the expiry: both in ms. */
interface Place {
  slot: number
  createdAt: number
}

/** Before everything. */
const FIRST: Place = { slot: 0, createdAt: 0 }

/** The verbs as SQL statements, each of which is a transaction of its own. */
export class PostgresBackend implements Backend {
  readonly name = 'postgres'
  readonly #connections: Connections
  readonly #statements: Statements
  readonly #schema: Schema
  /** Where the last batch of pruning ended, when there are more: the next need not pass over what that one has deleted. */
  #pruned = FIRST

  constructor(connections: Connections, statements: Statements, schema: Schema) {
    this.#connections = connections
    this.#statements = statements
    this.#schema = schema
  }

  async read(key: string): Promise<StoredRecord | undefined> {
    const { rows } = await this.#run(this.#statements.read, [idOf(key)])
    const [row] = rows
    return row && { record: recordOf(row), version: row[4] as string }
  }

  async write(key: string, record: SessionRecord): Promise<Version> {
    const version = newVersion()
    await this.#run(this.#statements.write, [idOf(key), ...valuesOf(record), version])
    return version
  }

  async replace(key: string, record: SessionRecord, version: Version): Promise<Version | 'conflict' | 'missing'> {
    const next = newVersion()
    const { rows } = await this.#run(this.#statements.replace, [idOf(key), ...valuesOf(record), next, version])
    const answer = rows[0]?.[0] as 'replaced' | 'conflict' | 'missing'
    return answer === 'replaced' ? next : answer
  }

  async touch(key: string, expiresAt: number, version: Version): Promise<boolean> {
    const { rowCount } = await this.#run(this.#statements.touch, [idOf(key), timestampOf(expiresAt), version])
    return rowCount === 1
  }

  async remove(key: string): Promise<boolean> {
    const { rowCount } = await this.#run(this.#statements.remove, [idOf(key)])
    return rowCount === 1
  }

  async ping(): Promise<void> {
    // While the server is down core asks again and again; the questions that hang must not fill the pool.
    await this.#connections.run(this.#statements.ping, [], Math.max(LEAST_PING_TIMEOUT, this.#connections.timeout / 4))
  }

  async prune(now: number): Promise<{ removed: number; done: boolean }> {
    const begun = performance.now()
    const { slot, createdAt } = this.#pruned
    this.#pruned = FIRST
    const values = [timestampOf(now), PRUNE_BATCH, timestampOf(slot), timestampOf(createdAt)]
    const { rows } = await this.#run(this.#statements.prune, values)
    if (rows.length < PRUNE_BATCH) return { removed: rows.length, done: true }
    this.#pruned = rows.map(placeOf).reduce(later)
    const took = performance.now() - begun
    // Well within the time that core gives a batch.
    await sleep(Math.min(PRUNE_REST * took, (this.#connections.timeout - took) / 2))
    return { removed: rows.length, done: false }
  }

  async count(now: number): Promise<number> {
    const { rows } = await this.#run(this.#statements.count, [timestampOf(now)], WHOLE_TABLE_TIMEOUT)
    return Number(rows[0]?.[0])
  }

  async *scan(): AsyncGenerator<{ key: string; record: SessionRecord }, void, undefined> {
    let last = Buffer.alloc(0)
    for (;;) {
      const { rows } = await this.#run(this.#statements.scan, [last, SCAN_BATCH])
      for (const [id, ...row] of rows) {
        last = Buffer.from(id as string, 'hex')
        yield { key: last.toString('base64url'), record: recordOf(row) }
      }
      if (rows.length < SCAN_BATCH) return
    }
  }

  async clear(): Promise<void> {
    let last = Buffer.alloc(0)
    for (;;) {
      const { rows } = await this.#run(this.#statements.clear, [last, CLEAR_BATCH])
      if (rows.length < CLEAR_BATCH) return
      const ids = rows.map(([id]) => id as string).sort()
      last = Buffer.from(ids[ids.length - 1] as string, 'hex')
    }
  }

  async #run(statement: Statement, values: unknown[], timeout?: number): Promise<PostgresResult> {
    const looking = this.#schema.ready()
    if (looking) await looking
    try {
      return await this.#connections.run(statement, values, timeout)
    } catch (error) {
      throw this.#schema.explain(error)
    }
  }
}

function placeOf([slot, createdAt]: (string | null)[]): Place {
  return { slot: Number(slot), createdAt: Number(createdAt) }
}

function later(a: Place, b: Place): Place {
  return b.slot > a.slot || (b.slot === a.slot && b.createdAt > a.createdAt) ? b : a
}

/** The key is a SHA-256 in base64url: 32 bytes in the table. */
function idOf(key: string): Buffer {
  return Buffer.from(key, 'base64url')
}

/** In the order of the columns: data, user_id, created_at, expires_at. */
function valuesOf({ data, userId, createdAt, expiresAt }: SessionRecord): unknown[] {
  return [toColumn(data), userId ?? null, timestampOf(createdAt), timestampOf(expiresAt)]
}

function recordOf([data, userId, createdAt, expiresAt]: (string | null)[]): SessionRecord {
  return {
    data: fromColumn(data as string),
    createdAt: Number(createdAt),
    expiresAt: Number(expiresAt),
    ...(userId !== null && userId !== undefined && { userId }),
  }
}

/** As text, which is exact to the millisecond at any distance; a number of seconds would not be. */
function timestampOf(ms: number): string {
  return new Date(ms).toISOString().replace(/^\+0*/, '')
}
