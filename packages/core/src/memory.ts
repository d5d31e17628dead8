import type { Backend, SessionRecord, StoredRecord, Version } from './backend.ts'
import type { StoreOptions } from './options.ts'
import { SessionStore } from './store.ts'
import { newVersion } from './version.ts'

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
  #pruneFrom: MapIterator<[string, StoredRecord]> | undefined

  read(key: string): StoredRecord | undefined {
    const found = this.#records.get(key)
    return found && { record: { ...found.record }, version: found.version }
  }

  write(key: string, record: SessionRecord): Version {
    const version = newVersion()
    this.#records.set(key, { record: { ...record }, version })
    return version
  }

  replace(key: string, record: SessionRecord, version: Version): Version | 'conflict' | 'missing' {
    const found = this.#records.get(key)
    if (found === undefined) return 'missing'
    if (found.version !== version) return 'conflict'
    return this.write(key, record)
  }

  touch(key: string, expiresAt: number, version: Version): boolean {
    const found = this.#records.get(key)
    if (found?.version !== version) return false
    found.record.expiresAt = Math.max(found.record.expiresAt, expiresAt)
    return true
  }

  remove(key: string): boolean {
    return this.#records.delete(key)
  }

  ping(): void {}

  prune(now: number): { removed: number; done: boolean } {
    this.#pruneFrom ??= this.#records.entries()
    let removed = 0
    for (let looked = 0; looked < PRUNE_BATCH; looked += 1) {
      const next = this.#pruneFrom.next()
      if (next.done) {
        this.#pruneFrom = undefined
        return { removed, done: true }
      }
      const [key, { record }] = next.value
      if (record.expiresAt <= now && this.#records.delete(key)) removed += 1
    }
    return { removed, done: false }
  }

  count(now: number): number {
    let count = 0
    for (const { record } of this.#records.values()) if (record.expiresAt > now) count += 1
    return count
  }

  async *scan(): AsyncGenerator<{ key: string; record: SessionRecord }> {
    for (const [key, { record }] of this.#records) yield { key, record: { ...record } }
  }

  clear(): void {
    this.#records.clear()
  }
}
