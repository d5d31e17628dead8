import type { Backend, SessionRecord, StoredRecord, StoreOptions, Version } from '@session-stores/core'
import { newVersion, SessionStore } from '@session-stores/core'
import { open } from 'lmdb'

export interface LmdbStoreOptions extends StoreOptions {
  /** The file with the sessions; made if it is not there. It must be on a local disk and hold nothing else. */
  path: string
}

/** Keeps sessions in an LMDB file, for one or many processes on one machine. */
export class LmdbStore extends SessionStore {
  constructor({ path, ...options }: LmdbStoreOptions) {
    super(new LmdbBackend(path), options)
  }
}

/** How many records pruning and scanning look at before others get their turn. */
const BATCH = 200

class LmdbBackend implements Backend {
  readonly name = 'lmdb'
  readonly #db
  #pruneFrom: string | undefined

  constructor(path: string) {
    this.#db = open<StoredRecord, string>({ path, noSubdir: true, encoding: 'json' })
  }

  read(key: string): StoredRecord | undefined {
    return this.#db.get(key)
  }

  async write(key: string, record: SessionRecord): Promise<Version> {
    const version = newVersion()
    await this.#db.put(key, { record, version })
    return version
  }

  // A transaction runs while no other process and no other transaction writes: what it read stays true until it is done.
  replace(key: string, record: SessionRecord, expected: Version): Promise<Version | 'conflict' | 'missing'> {
    return this.#db.transaction(() => {
      const found = this.#db.get(key)
      if (found?.version !== expected) return found ? 'conflict' : 'missing'
      const version = newVersion()
      this.#db.putSync(key, { record, version })
      return version
    })
  }

  touch(key: string, expiresAt: number, expected: Version): Promise<boolean> {
    return this.#db.transaction(() => {
      const found = this.#db.get(key)
      if (found?.version !== expected) return false
      const record = { ...found.record, expiresAt: Math.max(found.record.expiresAt, expiresAt) }
      this.#db.putSync(key, { record, version: expected })
      return true
    })
  }

  remove(key: string): Promise<boolean> {
    return this.#db.transaction(() => this.#db.removeSync(key))
  }

  prune(now: number): Promise<{ removed: number; done: boolean }> {
    return this.#db.transaction(() => {
      const batch = this.#batch(this.#pruneFrom)
      const expired = batch.filter(({ value }) => value.record.expiresAt <= now)
      for (const { key } of expired) this.#db.removeSync(key)
      this.#pruneFrom = after(batch)
      return { removed: expired.length, done: this.#pruneFrom === undefined }
    })
  }

  async *scan(): AsyncGenerator<{ key: string; record: SessionRecord }> {
    let from: string | undefined
    do {
      const batch = this.#batch(from)
      for (const { key, value } of batch) yield { key, record: value.record }
      from = after(batch)
    } while (from !== undefined)
  }

  clear(): Promise<void> {
    return this.#db.clearAsync()
  }

  close(): Promise<void> {
    return this.#db.close()
  }

  #batch(from = '') {
    return [...this.#db.getRange({ start: from, limit: BATCH })]
  }
}

/** Where the next batch begins; undefined after the last one. */
function after(batch: { key: string }[]): string | undefined {
  return batch.length === BATCH ? `${batch.at(-1)?.key}\0` : undefined
}
