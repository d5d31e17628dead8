import assert from 'node:assert/strict'
import type { KeyedRecord, SessionRecord, StoredRecord, Version } from '../backend.ts'
import type { GuardedBackend } from '../guard/guarded-backend.ts'
import type { SessionStore } from '../store.ts'
import { newVersion } from '../version.ts'

/** The records of a store as the cases see them: each write makes its version, and whole-store verbs run to their end. */
export class Records {
  readonly #backend: GuardedBackend

  constructor(store: SessionStore) {
    this.#backend = store.backend
  }

  /** Undefined when there is none. */
  async read(key: string): Promise<StoredRecord | undefined> {
    const found = await this.#backend.read(key)
    assert.notEqual(found, 'unreadable')
    return found as StoredRecord | undefined
  }

  async write(key: string, record: SessionRecord): Promise<Version> {
    const version = newVersion()
    await this.#backend.write(key, record, version)
    return version
  }

  /** The new version, or why there is none. */
  async replace(key: string, record: SessionRecord, expected: Version): Promise<Version | 'conflict' | 'missing'> {
    const version = newVersion()
    const answer = await this.#backend.replace(key, record, version, expected)
    return answer === 'replaced' ? version : answer
  }

  async touch(key: string, expiresAt: number, expected: Version): Promise<boolean> {
    return this.#backend.touch(key, expiresAt, expected)
  }

  async remove(key: string): Promise<boolean> {
    return this.#backend.remove(key)
  }

  /** Whether this backend leaves it to core to delete what has expired. */
  get isPruned(): boolean {
    return this.#backend.prune !== undefined
  }

  /** Deletes what has expired at `before`, and answers how many records that were. */
  async prune(before: number): Promise<number> {
    let total = 0
    for await (const { removed } of batches((from) =>
      this.#backend.prune?.({ expiresAt: before, createdAt: -8.64e15 }, from),
    ))
      total += removed
    return total
  }

  async *scan(): AsyncGenerator<KeyedRecord> {
    for await (const { records } of batches((from) => this.#backend.scan?.(from))) yield* records
  }
}

const MAX_BATCHES = 1000

async function* batches<B extends { next?: string | undefined }>(
  step: (from: string | undefined) => B | undefined | Promise<B | undefined>,
): AsyncGenerator<B> {
  let from: string | undefined
  for (let count = 0; count < MAX_BATCHES; count += 1) {
    const batch = await step(from)
    assert.ok(batch, 'the case needs the ability')
    yield batch
    from = batch.next
    if (from === undefined) return
  }
  assert.fail('it comes to an end')
}
