import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Backend, SessionRecord, Version } from '../backend.ts'
import { defineCase } from './case.ts'
import { LIFETIME, newRecord, newSession, storageKey } from './data.ts'

/** What only some backends can do. */
export const optionalCases = [
  defineCase('B21', 'a server that collects by itself never does so early', async ({ store: { backend }, clock }) => {
    if (backend.prune !== undefined) return // it does not
    clock.ms = Date.now() // which servers go by
    const short = newRecord(clock, '{"a":1}', 500)
    const long = newRecord(clock, '{"a":2}')
    const changes: Array<(key: string, version: Version) => unknown> = [
      (key, version) => backend.touch(key, long.expiresAt, version),
      (key, version) => backend.replace(key, long, version),
      (key) => backend.write(key, long),
    ]
    // Written to end soon, then prolonged. On a machine too slow for that, it may be gone already.
    const ends = new Map([[storageKey(9), clock.ms + 2000]])
    await backend.write(storageKey(9), newRecord(clock, '{"a":1}', 2000))
    for (const [n, change] of changes.entries()) {
      await change(storageKey(n), await backend.write(storageKey(n), short))
      if (Date.now() < short.expiresAt) ends.set(storageKey(n), long.expiresAt)
    }
    // Past the first end by what servers with a clock of whole seconds add.
    while (Date.now() < clock.ms + 2500) {
      for (const [key, end] of ends) {
        const found = await backend.read(key)
        if (Date.now() < end) assert.ok(found, `${end - Date.now()} ms before its end`)
      }
      await sleep(50)
    }
  }),

  defineCase(
    'B22',
    'pruning deletes what has expired, and nothing else',
    async ({ store: { backend }, clock }) => {
      const now = clock.ms + 1000
      const offsets = Array.from({ length: 250 }, (_, n) => (n % 2 === 0 ? -(n / 2) : (n + 1) / 2))
      for (const [n, offset] of offsets.entries()) {
        await backend.write(storageKey(n), {
          ...newRecord(clock),
          expiresAt: now + offset,
        })
      }
      assert.equal(await pruneAll(backend, now), 125)
      for (const [n, offset] of offsets.entries()) {
        assert.equal((await backend.read(storageKey(n))) !== undefined, offset > 0, `expiresAt = now + ${offset}`)
      }
      assert.equal(await pruneAll(backend, now), 0)
    },
    { needs: ['prune'] },
  ),

  defineCase(
    'B23',
    'pruning deletes nothing that is prolonged at the same time',
    async ({ store: { backend }, clock }) => {
      const keys = Array.from({ length: 32 }, (_, n) => storageKey(n))
      const expired = newRecord(clock, '{"a":1}', 0)
      const versions = await Promise.all(keys.map(async (each) => backend.write(each, expired)))
      const prolong = async (each: string, version: Version, n: number) => {
        if (n % 2 === 0) return backend.touch(each, newRecord(clock).expiresAt, version)
        return !['missing', 'conflict'].includes(await backend.replace(each, newRecord(clock), version))
      }
      const pruning = pruneAll(backend, clock.ms)
      const prolonged = await Promise.all(keys.map((each, n) => prolong(each, versions[n] as Version, n)))
      await pruning
      const there = await Promise.all(keys.map(async (each) => (await backend.read(each)) !== undefined))
      assert.deepEqual(there, prolonged)
    },
    { needs: ['prune'] },
  ),

  defineCase(
    'B24',
    'counting answers how many have not expired',
    async ({ store, clock }) => {
      assert.equal(await store.count(), 0)
      for (let n = 0; n < 30; n += 1) await store.set(`session-${n}`, newSession(clock))
      await store.destroy('session-7')
      assert.equal(await store.count(), 29)
      if (store.backend.prune === undefined) return // the server counts what it still holds
      await store.set('outlives', newSession(clock, {}, 2 * LIFETIME))
      clock.advance(LIFETIME)
      assert.equal(await store.count(), 1)
    },
    { needs: ['count'] },
  ),

  defineCase(
    'B25',
    'a scan sees every record that is there throughout',
    async ({ store: { backend }, clock }) => {
      const written = new Map<string, SessionRecord>()
      for (let n = 0; n < 250; n += 1) {
        const record = newRecord(clock, `{"n":${n}}`, LIFETIME + n)
        written.set(storageKey(n), record)
        await backend.write(storageKey(n), record)
      }
      const seen = new Set<string>()
      // biome-ignore lint/style/noNonNullAssertion: the case needs the ability
      for await (const { key, record } of backend.scan!()) {
        assert.deepEqual(record, written.get(key))
        seen.add(key)
        // What goes meanwhile must not make it step over what stays.
        if (seen.size % 3 === 0) await backend.remove(key)
      }
      assert.equal(seen.size, written.size)
    },
    { needs: ['scan'] },
  ),

  defineCase(
    'B26',
    'clearing ends every session, and the store goes on',
    async ({ store, other, clock }) => {
      for (let n = 0; n < 30; n += 1) await store.set(`session-${n}`, newSession(clock))
      const loaded = await store.get('session-1')
      await store.clear()
      for (let n = 0; n < 30; n += 1) {
        assert.equal(await store.get(`session-${n}`), null)
        assert.equal(await other.get(`session-${n}`), null)
      }
      await store.set('session-1', { ...loaded, late: true })
      assert.equal(await store.get('session-1'), null, 'a request under way brings nothing back')
      await other.set('session-2', newSession(clock))
      assert.ok(await store.get('session-2'))
    },
    { needs: ['clear'] },
  ),

  defineCase(
    'B27',
    'a ping is answered while the server is there',
    async ({ store }) => {
      await store.ping()
    },
    { needs: ['ping'] },
  ),
]

async function pruneAll(backend: Backend, now: number): Promise<number> {
  let total = 0
  for (let batch = 0; batch < 1000; batch += 1) {
    // biome-ignore lint/style/noNonNullAssertion: the case needs the ability
    const { removed, done } = await backend.prune!(now)
    total += removed
    if (done) return total
  }
  return assert.fail('pruning comes to an end')
}
