import assert from 'node:assert/strict'
import type { Cutoff, KeyedRecord, SessionRecord, StoredRecord, Version } from '../backend.ts'
import { MAX_EXPIRES_AT } from '../expiry.ts'
import type { GuardedBackend } from '../guard/guarded-backend.ts'
import type { Limit } from '../guard/limit.ts'
import type { SessionStore } from '../store.ts'
import { newVersion } from '../version.ts'

/** So many batches for a few hundred records mean that it never ends. */
const MAX_BATCHES = 1000

/** By this nothing is over. */
const NOTHING: Cutoff = { expiresAt: -MAX_EXPIRES_AT, createdAt: -MAX_EXPIRES_AT }

/** The records of a store as the cases see them: each write makes its version, and whole-store verbs run to their end. */
export class Records {
  readonly #backend: GuardedBackend

  constructor(store: SessionStore) {
    this.#backend = store.backend
  }

  /** Undefined when there is none. */
  async read(key: string, limit?: Limit): Promise<StoredRecord | undefined> {
    const found = await this.#backend.read(key, limit)
    assert.notEqual(found, 'unreadable')
    return found as StoredRecord | undefined
  }

  async write(key: string, record: SessionRecord, limit?: Limit): Promise<Version> {
    const version = newVersion()
    await this.#backend.write(key, record, version, limit)
    return version
  }

  /** The new version, or why there is none. */
  async replace(
    key: string,
    record: SessionRecord,
    expected: Version,
    limit?: Limit,
  ): Promise<Version | 'conflict' | 'missing'> {
    const version = newVersion()
    const answer = await this.#backend.replace(key, record, version, expected, limit)
    return answer === 'replaced' ? version : answer
  }

  /** @param userId the one of the record at that version */
  async touch(key: string, expiresAt: number, expected: Version, userId?: string): Promise<boolean> {
    return this.#backend.touch(key, expiresAt, expected, userId)
  }

  /** The version, or undefined when there was a record already. */
  async insert(key: string, record: SessionRecord, version = newVersion()): Promise<Version | undefined> {
    return (await this.#backend.insert?.(key, record, version)) === 'inserted' ? version : undefined
  }

  /** The keys of this user's records, each once. */
  async keysOfUser(userId: string): Promise<string[]> {
    const keys = new Set<string>()
    for await (const { records } of batches((from) => this.#backend.findByUser?.(userId, from))) {
      for (const { key } of records) keys.add(key)
    }
    return [...keys].sort()
  }

  async *findByUser(userId: string): AsyncGenerator<KeyedRecord> {
    for await (const { records } of batches((from) => this.#backend.findByUser?.(userId, from))) yield* records
  }

  async removeOfUser(userId: string, keys: string[]): Promise<number> {
    return (await this.#backend.removeOfUser?.(userId, keys)) ?? 0
  }

  async remove(key: string): Promise<boolean> {
    return this.#backend.remove(key)
  }

  /** Whether this backend leaves it to core to delete what has expired. */
  get isPruned(): boolean {
    return this.#backend.prune !== undefined
  }

  /** Whether this backend can list its records. */
  get isScannable(): boolean {
    return this.#backend.scan !== undefined
  }

  /** Deletes what is over, and answers how many records that were. */
  async prune(cutoff: Partial<Cutoff>): Promise<number> {
    let total = 0
    for await (const { removed } of batches((from) => this.#backend.prune?.({ ...NOTHING, ...cutoff }, from))) {
      total += removed
    }
    return total
  }

  /** How many are not over. */
  async count(cutoff: Partial<Cutoff>): Promise<number> {
    let total = 0
    for await (const { count } of batches((from) => this.#backend.count?.({ ...NOTHING, ...cutoff }, from))) {
      total += count
    }
    return total
  }

  async *scan(): AsyncGenerator<KeyedRecord> {
    for await (const { records } of batches((from) => this.#backend.scan?.(from))) yield* records
  }

  async clear(): Promise<void> {
    for await (const _ of batches((from) => this.#backend.clear?.(from)));
  }
}

async function* batches<B extends { next?: string | undefined }>(
  step: (from: string | undefined) => B | undefined | Promise<B | undefined>,
): AsyncGenerator<B> {
  let from: string | undefined
  for (let count = 0; count < MAX_BATCHES; count += 1) {
    const batch = await step(from)
    assert.ok(batch, 'the backend has the verb')
    yield batch
    from = batch.next
    if (from === undefined) return
  }
  assert.fail('it comes to an end')
}
