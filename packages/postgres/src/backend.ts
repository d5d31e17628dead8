import type {
  Backend,
  Batch,
  Call,
  KeyedRecord,
  SessionRecord,
  StoredRecord,
  Version,
  Work,
} from '@session-stores/core'
import type { PostgresResult } from './connections.ts'
import type { Driver } from './driver.ts'
import { fromColumn, toColumn } from './json.ts'
import type { Schema } from './schema.ts'
import { BEYOND, type Statement, type Statements } from './statements.ts'

/** How many records one batch deletes that have expired. */
const PRUNE_BATCH = 500
/** How many records one batch counts, and those level with the last of them. */
const COUNT_BATCH = 20_000
/** How many records one batch of a scan reads: at most about 6 MB with the default `maxBytes`. */
const SCAN_BATCH = 100
/** How many records one batch of clearing deletes. */
const CLEAR_BATCH = 1000

/** Of no table: it is to tell whether the server can be reached and used. */
const PING: Statement = { text: 'select 1', reads: true }

/** Before and after everything in the index on the expiry. */
const FIRST: Position = [`-${BEYOND}`, `-${BEYOND}`]
const LAST: Position = [BEYOND, BEYOND]
/** Before every key, as the server reads it. */
const FIRST_ID = '\\x'

/** A place in the index on the expiry: slot and `created_at`. */
type Position = [string, string]

/** The verbs as SQL statements, each of which is a transaction of its own. */
export class PostgresBackend implements Backend {
  readonly name = 'postgres'
  readonly #driver: Driver
  readonly #schema: Schema

  constructor(driver: Driver, schema: Schema) {
    this.#driver = driver
    this.#schema = schema
  }

  async read(key: string, call: Call): Promise<StoredRecord | undefined> {
    const { rows } = await this.#run('read', [idOf(key)], call)
    const [row] = rows
    return row && { record: recordOf(row), version: row[4] as string }
  }

  async write(key: string, record: SessionRecord, version: Version, call: Call): Promise<void> {
    await this.#run('write', [idOf(key), ...valuesOf(record), version], call)
  }

  async replace(key: string, record: SessionRecord, version: Version, expected: Version, call: Call) {
    const { rows } = await this.#run('replace', [idOf(key), ...valuesOf(record), version, expected], call)
    return rows[0]?.[0] as 'replaced' | 'conflict' | 'missing'
  }

  async touch(key: string, expiresAt: number, expected: Version, call: Call): Promise<boolean> {
    const { rowCount } = await this.#run('touch', [idOf(key), `${expiresAt}`, expected], call)
    return rowCount === 1
  }

  async remove(key: string, call: Call): Promise<boolean> {
    const { rowCount } = await this.#run('remove', [idOf(key)], call)
    return rowCount === 1
  }

  async ping(_: Work, call: Call): Promise<void> {
    await this.#driver.run(PING, [], call)
  }

  async prune(before: number, from: string | undefined, call: Call): Promise<Batch & { removed: number }> {
    const values = [`${before}`, `${call.now}`, ...(positionOf(from) ?? LAST), `${PRUNE_BATCH}`]
    const { rows } = await this.#run('prune', values, call)
    const next = rows.length < PRUNE_BATCH ? undefined : (rows as string[][]).reduce(earlier).join()
    return { removed: rows.length, next }
  }

  async count(from: string | undefined, call: Call): Promise<Batch & { count: number }> {
    const { rows } = await this.#run('count', [`${call.now}`, ...(positionOf(from) ?? FIRST), `${COUNT_BATCH}`], call)
    const [count, ...last] = rows[0] as [string, string | null, string | null]
    return { count: Number(count), next: last[0] === null ? undefined : last.join() }
  }

  async scan(from = FIRST_ID, call: Call): Promise<Batch & { records: KeyedRecord[] }> {
    const { rows } = await this.#run('scan', [from, `${SCAN_BATCH}`], call)
    const records = rows.map(([hex, ...row]) => ({ key: keyOf(hex as string), record: recordOf(row) }))
    const last = rows.at(SCAN_BATCH - 1)?.[0]
    return { records, next: last ? `\\x${last}` : undefined }
  }

  async clear(from = FIRST_ID, call: Call): Promise<Batch> {
    const { rows } = await this.#run('clear', [from, `${CLEAR_BATCH}`], call)
    const [count, last] = rows[0] as [string, string | null]
    return { next: Number(count) < CLEAR_BATCH ? undefined : `\\x${last}` }
  }

  async #run(statement: keyof Statements, values: (string | null)[], call: Call): Promise<PostgresResult> {
    const statements = this.#schema.statements ?? (await this.#schema.find(call))
    try {
      return await this.#driver.run(statements[statement], values, call)
    } catch (error) {
      throw this.#schema.explain(error)
    }
  }
}

function positionOf(from: string | undefined): Position | undefined {
  return from?.split(',') as Position | undefined
}

function earlier(a: string[], b: string[]): string[] {
  const [slotA, createdA] = a.map(Number) as [number, number]
  const [slotB, createdB] = b.map(Number) as [number, number]
  return slotB < slotA || (slotB === slotA && createdB < createdA) ? b : a
}

/** The key is a SHA-256 in base64url: 32 bytes in the table, sent as the text of a bytea. */
function idOf(key: string): string {
  return `\\x${Buffer.from(key, 'base64url').toString('hex')}`
}

function keyOf(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64url')
}

/** In the order of the columns: data, user_id, created_at, expires_at. */
function valuesOf({ data, userId, createdAt, expiresAt }: SessionRecord): (string | null)[] {
  return [toColumn(data), userId ?? null, `${createdAt}`, `${expiresAt}`]
}

function recordOf([data, userId, createdAt, expiresAt]: (string | null)[]): SessionRecord {
  return {
    data: fromColumn(data as string),
    createdAt: Number(createdAt),
    expiresAt: Number(expiresAt),
    ...(userId !== null && userId !== undefined && { userId }),
  }
}
