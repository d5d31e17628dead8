import assert from 'node:assert/strict'
import type { Backend } from '../backend.ts'
import { defineCase } from './case.ts'
import { newRecord, newSession, storageKey } from './data.ts'

/** What only some backends can do. */
export const optionalCases = [
  defineCase(
    'B19',
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
    'B20',
    'counting answers how many have not expired',
    async ({ store, clock }) => {
      assert.equal(await store.count(), 0)
      for (let n = 0; n < 30; n += 1) await store.set(`session-${n}`, newSession(clock))
      await store.destroy('session-7')
      assert.equal(await store.count(), 29)
    },
    { needs: ['count'] },
  ),

  defineCase(
    'B21',
    'a scan sees every record that is there throughout',
    async ({ store: { backend }, clock }) => {
      const written = new Map<string, string>()
      for (let n = 0; n < 250; n += 1) {
        written.set(storageKey(n), `{"n":${n}}`)
        await backend.write(storageKey(n), newRecord(clock, `{"n":${n}}`))
      }
      const seen = new Map<string, string>()
      // biome-ignore lint/style/noNonNullAssertion: the case needs the ability
      for await (const { key, record } of backend.scan!()) seen.set(key, record.data)
      assert.deepEqual(seen, new Map([...seen.keys()].map((key) => [key, written.get(key)])))
      assert.equal(seen.size, written.size)
    },
    { needs: ['scan'] },
  ),

  defineCase(
    'B22',
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
    'B23',
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
