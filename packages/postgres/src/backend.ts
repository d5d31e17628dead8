import type {
  Backend,
  Batch,
  Call,
  Change,
  ChangeAnswer,
  Cutoff,
  Expected,
  Finding,
  KeyedRecord,
  SessionRecord,
  StoredRecord,
  Version,
  Work,
} from '@session-stores/core'
import { checkTable } from './check.ts'
import type { Database } from './database.ts'
import { arrayOf, type PostgresResult, type Values } from './driver.ts'
import { changeMany, readMany } from './many.ts'
import { idOf, keyOf, recordOf, valuesOf } from './rows.ts'
import type { Schema } from './schema.ts'
import { BEYOND, SLOT, type Statement, type Statements } from './statements.ts'

/** How many records one batch deletes that have expired. */
const PRUNE_BATCH = 500
/** How many slots one batch looks through for records that are over by their age. */
const SLOTS_BATCH = 200
/** How many records one batch counts. */
const COUNT_BATCH = 5000
/** How many records one batch of a scan reads: at most about 6 MB with the default `maxBytes`. */
const SCAN_BATCH = 100
/** How many of a user's records one batch holds. */
const USER_BATCH = 100
/** How many records one batch of clearing deletes. */
const CLEAR_BATCH = 1000

/** Of no table: it is to tell whether the server can be reached and used. */
const PING: Statement = { text: 'select 1', reads: true }

/** After everything in the index on the expiry. */
const LAST: Position = [BEYOND, BEYOND]
/** What the places begin with where pruning goes on by age. */
const BY_AGE = 'age '
/** The most that a time can be away from the epoch, in ms: sessions do not end by their age where that is the cut-off. */
const MAX_TIME = 8.64e15
/** Before every key, as the server reads it. */
const FIRST_ID = '\\x'

/** A place in the index on the expiry: slot and `created_at`. */
type Position = [string, string]

/** The verbs as SQL statements, each of which is a transaction of its own. */
export class PostgresBackend implements Backend {
  readonly name = 'postgres'
  readonly #database: Database
  readonly #schema: Schema

  constructor(database: Database, schema: Schema) {
    this.#database = database
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

  async insert(key: string, record: SessionRecord, version: Version, call: Call): Promise<'inserted' | 'exists'> {
    const { rowCount } = await this.#run('insert', [idOf(key), ...valuesOf(record), version], call)
    return rowCount === 1 ? 'inserted' : 'exists'
  }

  async touch(key: string, expiresAt: number, expected: Version, _: string | undefined, call: Call): Promise<boolean> {
    const { rowCount } = await this.#run('touch', [idOf(key), `${expiresAt}`, expected], call)
    return rowCount === 1
  }

  async remove(key: string, call: Call): Promise<boolean> {
    const { rowCount } = await this.#run('remove', [idOf(key)], call)
    return rowCount === 1
  }

  readMany(keys: string[], call: Call): Promise<(StoredRecord | undefined)[]> {
    return readMany(keys, (statement, values) => this.#run(statement, values, call))
  }

  changeMany(changes: Change[], call: Call): Promise<(ChangeAnswer | Error)[]> {
    return changeMany(changes, (statement, values) => this.#run(statement, values, call))
  }

  async ping(_: Work, call: Call): Promise<void> {
    await this.#database.run(PING, [], call)
  }

  /** First by expiry, in as many batches as that takes; then, if sessions are to end by their age, by that. */
  async prune({ expiresAt, createdAt }: Cutoff, from: string | undefined, call: Call) {
    if (from?.startsWith(BY_AGE)) return this.#pruneOld(createdAt, from.slice(BY_AGE.length), call)
    const values = [`${expiresAt}`, `${call.now}`, ...(positionOf(from) ?? LAST), `${PRUNE_BATCH}`]
    const { rows } = await this.#run('prune', values, call)
    const removed = rows.length
    if (removed === PRUNE_BATCH) return { removed, next: (rows as string[][]).reduce(earlier).join() }
    return { removed, next: createdAt > -MAX_TIME ? `${BY_AGE}-${BEYOND}` : undefined }
  }

  /** @param from the slot up to which all have been looked at */
  async #pruneOld(createdAt: number, from: string, call: Call): Promise<Batch & { removed: number }> {
    const { rows } = await this.#run('pruneOld', [`${createdAt}`, from, `${SLOTS_BATCH}`, `${PRUNE_BATCH}`], call)
    const [removed, looked, last] = rows[0] as [string, string, string | null]
    if (Number(removed) === PRUNE_BATCH) return { removed: PRUNE_BATCH, next: BY_AGE + from }
    return { removed: Number(removed), next: Number(looked) < SLOTS_BATCH ? undefined : BY_AGE + last }
  }

  async count({ expiresAt, createdAt }: Cutoff, from: string | undefined, call: Call) {
    const due = `${Math.trunc(expiresAt / SLOT)}`
    const place = (from?.split(',') ?? [due, `-${BEYOND}`, '0']) as [string, string, string]
    const [slot, at, skip] = place
    const isDue = slot === due && at !== BEYOND
    const values = [...place, `${COUNT_BATCH}`, `${createdAt}`]
    const { rows } = await (isDue
      ? this.#run('countDue', [...values, `${expiresAt}`], call)
      : this.#run('countLater', values, call))
    const [live, seen, lastSlot, lastAt, level] = rows[0] as [string, string, string, string, string]
    if (Number(seen) < COUNT_BATCH) return { count: Number(live), next: isDue ? `${due},${BEYOND},0` : undefined }
    const counted = lastSlot === slot && lastAt === at ? Number(skip) + Number(level) : level
    return { count: Number(live), next: `${lastSlot},${lastAt},${counted}` }
  }

  async scan(from = FIRST_ID, call: Call): Promise<Batch & { records: KeyedRecord[] }> {
    const { rows } = await this.#run('scan', [from, `${SCAN_BATCH}`], call)
    return batchOf(rows, SCAN_BATCH)
  }

  async clear(from = FIRST_ID, call: Call): Promise<Batch> {
    const { rows } = await this.#run('clear', [from, `${CLEAR_BATCH}`], call)
    const [count, last] = rows[0] as [string, string | null]
    return { next: Number(count) < CLEAR_BATCH ? undefined : `\\x${last}` }
  }

  async findByUser(userId: string, from = FIRST_ID, call: Call): Promise<Batch & { records: KeyedRecord[] }> {
    const { rows } = await this.#run('findByUser', [userId, from, `${USER_BATCH}`], call)
    return batchOf(rows, USER_BATCH)
  }

  async removeOfUser(userId: string, keys: string[], call: Call): Promise<number> {
    const { rowCount } = await this.#run('removeOfUser', [arrayOf(keys.map(idOf)), userId], call)
    return rowCount ?? 0
  }

  check(_: Expected, call: Call): Promise<Finding[]> {
    return checkTable(this.#database, this.#schema, call)
  }

  async #run(statement: keyof Statements, values: Values, call: Call): Promise<PostgresResult> {
    const statements = this.#schema.statements ?? (await this.#schema.find(call))
    try {
      return await this.#database.run(statements[statement], values, call)
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

/** @param size of a full batch, after which there may be more */
function batchOf(rows: Values[], size: number): Batch & { records: KeyedRecord[] } {
  const records = rows.map(([hex, ...row]) => ({ key: keyOf(hex as string), record: recordOf(row) }))
  const last = rows.at(size - 1)?.[0]
  return { records, next: last ? `\\x${last}` : undefined }
}
