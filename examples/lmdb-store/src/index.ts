import type { Backend, Batch, Cutoff, KeyedRecord, SessionRecord, StoredRecord, Version } from '@session-stores/core'
import { SessionStore, type StoreOptions } from '@session-stores/core'
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

/** How many records a batch takes: so few that requests do not notice. */
const BATCH = 200

class LmdbBackend implements Backend {
  readonly name = 'lmdb'
  readonly #db

  constructor(path: string) {
    this.#db = open<StoredRecord, string>({ path, noSubdir: true, encoding: 'json' })
  }

  read(key: string): StoredRecord | undefined {
    this.#db.resetReadTxn() // or it would not see what another process has written in this very moment
    return this.#db.get(key)
  }

  async write(key: string, record: SessionRecord, version: Version): Promise<void> {
    await this.#db.put(key, { record, version })
  }

  // A transaction runs while no other process and no other transaction writes: what it read stays true until it is done.
  replace(
    key: string,
    record: SessionRecord,
    version: Version,
    expected: Version,
  ): Promise<'replaced' | 'conflict' | 'missing'> {
    return this.#db.transaction(() => {
      const found = this.#db.get(key)
      if (found?.version === version) return 'replaced' // sent again: it took effect, and a touch may have followed
      if (found?.version !== expected) return found ? 'conflict' : 'missing'
      this.#db.putSync(key, { record, version })
      return 'replaced'
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

  prune({ expiresAt, createdAt }: Cutoff, from?: string): Promise<Batch & { removed: number }> {
    return this.#db.transaction(() => {
      const { records, next } = this.scan(from)
      const over = records.filter(({ record }) => record.expiresAt <= expiresAt || record.createdAt <= createdAt)
      for (const { key } of over) this.#db.removeSync(key)
      return { removed: over.length, next }
    })
  }

  scan(from = ''): Batch & { records: KeyedRecord[] } {
    const range = this.#db.getRange({ start: from, limit: BATCH })
    const records = [...range].map(({ key, value }) => ({ key, record: value.record }))
    const next = records.length === BATCH ? `${records.at(-1)?.key}\0` : undefined
    return { records, next }
  }

  async clear(): Promise<Batch> {
    await this.#db.clearAsync()
    return {}
  }

  close(): Promise<void> {
    return this.#db.close()
  }
}
