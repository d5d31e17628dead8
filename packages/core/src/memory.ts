import type { Backend, Batch, Cutoff, Finding, KeyedRecord, SessionRecord, StoredRecord, Version } from './backend.ts'
import type { Call } from './call.ts'
import type { StoreOptions } from './options.ts'
import { SessionStore } from './store.ts'

/** How many records one batch of pruning looks at: well under a millisecond. */
const PRUNE_BATCH = 1000

/**
 * Keeps sessions in this process's memory: for development, tests, and applications of one process whose sessions may
 * end with it. Stores text, never live objects, and deletes what has expired.
 */
// biome-ignore lint/suspicious/noExplicitAny: see SessionStore
export class MemoryStore<Session extends object = any> extends SessionStore<Session> {
  /** @throws TypeError that names the wrong option */
  constructor(options: StoreOptions = {}) {
    super(new MemoryBackend(), options)
  }
}

/** The reference backend: each verb in its plainest form. */
class MemoryBackend implements Backend {
  readonly name = 'memory'
  readonly #records = new Map<string, StoredRecord>()
  readonly #keysByUser = new Map<string, Set<string>>()
  /** Of the batches under way: a place in the map cannot be named, so its iterator is kept. */
  #iterator = this.#records.entries()

  read(key: string): StoredRecord | undefined {
    const found = this.#records.get(key)
    return found && { record: { ...found.record }, version: found.version }
  }

  write(key: string, record: SessionRecord, version: Version): void {
    this.#unlist(key)
    this.#records.set(key, { record: { ...record }, version })
    if (record.userId === undefined) return
    const keys = this.#keysByUser.get(record.userId)
    if (keys === undefined) this.#keysByUser.set(record.userId, new Set([key]))
    else keys.add(key)
  }

  insert(key: string, record: SessionRecord, version: Version): 'inserted' | 'exists' {
    const found = this.#records.get(key)
    if (found !== undefined) return found.version === version ? 'inserted' : 'exists'
    this.write(key, record, version)
    return 'inserted'
  }

  replace(
    key: string,
    record: SessionRecord,
    version: Version,
    expected: Version,
  ): 'replaced' | 'conflict' | 'missing' {
    const found = this.#records.get(key)
    if (found === undefined) return 'missing'
    if (found.version === version) return 'replaced'
    if (found.version !== expected) return 'conflict'
    this.write(key, record, version)
    return 'replaced'
  }

  touch(key: string, expiresAt: number, expected: Version): boolean {
    const found = this.#records.get(key)
    if (found?.version !== expected) return false
    found.record.expiresAt = Math.max(found.record.expiresAt, expiresAt)
    return true
  }

  remove(key: string): boolean {
    this.#unlist(key)
    return this.#records.delete(key)
  }

  ping(): void {}

  check(): Finding[] {
    return [
      {
        severity: 'advice',
        what: 'the sessions are in the memory of this process',
        why: 'they end with it, and another process of the application does not have them',
        how: 'keep them on a server or in a file: with the store for Redis, Postgres, SQLite or Memcached',
      },
    ]
  }

  /** By this process's clock alone: no other uses these records. */
  prune(cutoff: Cutoff, from: string | undefined, { now }: Call): Batch & { removed: number } {
    if (from === undefined) this.#iterator = this.#records.entries()
    let removed = 0
    for (let looked = 0; looked < PRUNE_BATCH; looked += 1) {
      const next = this.#iterator.next()
      if (next.done) return { removed }
      const [key, { record }] = next.value
      if ((record.expiresAt <= now || isOver(record, cutoff)) && this.remove(key)) removed += 1
    }
    return { removed, next: 'iterator' }
  }

  count(cutoff: Cutoff): { count: number } {
    let count = 0
    for (const { record } of this.#records.values()) if (!isOver(record, cutoff)) count += 1
    return { count }
  }

  scan(): { records: KeyedRecord[] } {
    return { records: [...this.#records].map(([key, { record }]) => ({ key, record: { ...record } })) }
  }

  clear(): Batch {
    this.#records.clear()
    this.#keysByUser.clear()
    return {}
  }

  findByUser(userId: string): { records: KeyedRecord[] } {
    const keys = [...(this.#keysByUser.get(userId) ?? [])]
    return { records: keys.map((key) => ({ key, record: { ...(this.#records.get(key) as StoredRecord).record } })) }
  }

  removeOfUser(userId: string, keys: string[]): number {
    return keys.filter((key) => this.#records.get(key)?.record.userId === userId && this.remove(key)).length
  }

  /** To be called while the record is still there. */
  #unlist(key: string): void {
    const userId = this.#records.get(key)?.record.userId
    const keys = userId === undefined ? undefined : this.#keysByUser.get(userId)
    keys?.delete(key)
    if (keys?.size === 0) this.#keysByUser.delete(userId as string)
  }
}

function isOver(record: SessionRecord, cutoff: Cutoff): boolean {
  return record.expiresAt <= cutoff.expiresAt || record.createdAt <= cutoff.createdAt
}
