import {
  type Backend,
  type Batch,
  type Cutoff,
  type KeyedRecord,
  MemoryStore,
  type SessionRecord,
  type StoredRecord,
  type Version,
} from '../../src/index.ts'

/** How many records a batch takes. */
const BATCH = 100

export type Server = ReturnType<typeof newServer>

/** A sound backend, as a server would be: several stores can use it, and it does whole-store verbs in batches. */
export function newServer() {
  const { backend: memory } = new MemoryStore() // it answers at once, never with a promise
  const batch = (from = ''): { records: KeyedRecord[] } & Batch => {
    const all = memory.scan?.() as { records: KeyedRecord[] }
    const rest = all.records.filter(({ key }) => key > from).sort((a, b) => (a.key < b.key ? -1 : 1))
    const records = rest.slice(0, BATCH)
    return { records, next: rest.length > BATCH ? records.at(-1)?.key : undefined }
  }
  const remove = (key: string) => memory.remove(key) as boolean
  return {
    name: 'server',
    read: (key: string) => memory.read(key) as StoredRecord | undefined,
    write: (key: string, record: SessionRecord, version: Version) => memory.write(key, record, version) as void,
    replace: (key: string, record: SessionRecord, version: Version, expected: Version) =>
      memory.replace(key, record, version, expected) as 'replaced' | 'conflict' | 'missing',
    touch: (key: string, expiresAt: number, expected: Version) => memory.touch(key, expiresAt, expected) as boolean,
    remove,
    insert: (key: string, record: SessionRecord, version: Version) =>
      memory.insert?.(key, record, version) as 'inserted' | 'exists',
    findByUser: (userId: string) => memory.findByUser?.(userId) as { records: KeyedRecord[] } & Batch,
    removeOfUser: (userId: string, keys: string[]) => memory.removeOfUser?.(userId, keys) as number,
    ping: () => {},
    check: () => [],
    prune: (cutoff: Cutoff, from?: string) => {
      const { records, next } = batch(from)
      const over = records.filter(({ record }) => isOver(record, cutoff))
      for (const { key } of over) remove(key)
      return { removed: over.length, next }
    },
    count: (cutoff: Cutoff, from?: string) => {
      const { records, next } = batch(from)
      return { count: records.filter(({ record }) => !isOver(record, cutoff)).length, next }
    },
    scan: batch,
    clear: (from?: string): Batch => {
      const { records, next } = batch(from)
      for (const { key } of records) remove(key)
      return { next }
    },
  } satisfies Backend
}

export function isOver(record: SessionRecord, cutoff: Cutoff): boolean {
  return record.expiresAt <= cutoff.expiresAt || record.createdAt <= cutoff.createdAt
}

/** Makes one of them for each name. */
export function byName<T>(make: () => T): (name: string) => T {
  const made = new Map<string, T>()
  return (name) => {
    const one = made.get(name) ?? make()
    made.set(name, one)
    return one
  }
}
