import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SessionRecord, Version } from '../../backend.ts'
import { defineCase } from '../case.ts'
import { LIFETIME, MANY, newRecord, newSession, storageKey, writeMany } from '../data.ts'

const key = storageKey()

/** What only some backends can do. */
export const optionalCases = [
  defineCase('B21', 'a server that collects by itself never does so early', async ({ records, clock }) => {
    if (records.isPruned) return // it does not
    clock.ms = Date.now() // which servers go by
    const short = newRecord(clock, '{"a":1}', 500)
    const long = newRecord(clock, '{"a":2}')
    const changes: Array<(key: string, version: Version) => unknown> = [
      (key, version) => records.touch(key, long.expiresAt, version),
      (key, version) => records.replace(key, long, version),
      (key) => records.write(key, long),
    ]
    // Written to end soon, then prolonged. On a machine too slow for that, it may be gone already.
    const ends = new Map([[storageKey(9), clock.ms + 2000]])
    await records.write(storageKey(9), newRecord(clock, '{"a":1}', 2000))
    for (const [n, change] of changes.entries()) {
      await change(storageKey(n), await records.write(storageKey(n), short))
      if (Date.now() < short.expiresAt) ends.set(storageKey(n), long.expiresAt)
    }
    // Past the first end by what servers with a clock of whole seconds add.
    while (Date.now() < clock.ms + 2500) {
      for (const [key, end] of ends) {
        const found = await records.read(key)
        if (Date.now() < end) assert.ok(found, `${end - Date.now()} ms before its end`)
      }
      await sleep(50)
    }
  }),

  defineCase(
    'B22',
    'pruning deletes what has expired or began too long ago, and nothing else',
    async ({ records, clock }) => {
      const now = clock.ms + 1000
      const offsets = Array.from({ length: MANY }, (_, n) => (n % 2 === 0 ? -(n / 2) : (n + 1) / 2))
      for (const [n, offset] of offsets.entries()) {
        await records.write(storageKey(n), {
          ...newRecord(clock),
          expiresAt: now + offset,
        })
      }
      assert.equal(await records.prune({ expiresAt: now }), MANY / 2)
      for (const [n, offset] of offsets.entries()) {
        assert.equal((await records.read(storageKey(n))) !== undefined, offset > 0, `expiresAt = now + ${offset}`)
      }
      assert.equal(await records.prune({ expiresAt: now }), 0)
      const prolonged = { ...newRecord(clock), expiresAt: now }
      await records.touch(key, now + 1, await records.write(key, prolonged))
      assert.equal(await records.prune({ expiresAt: now }), 0, 'what was touched lives on')
      await records.write(key, { ...newRecord(clock), createdAt: now })
      assert.equal(await records.prune({ createdAt: now - 1 }), MANY / 2, 'and what began in time')
      assert.ok(await records.read(key))
    },
    { needs: ['prune'] },
  ),

  defineCase(
    'B23',
    'pruning deletes nothing that is prolonged at the same time',
    async ({ records, clock }) => {
      const keys = Array.from({ length: 32 }, (_, n) => storageKey(n))
      const expired = newRecord(clock, '{"a":1}', 0)
      const versions = await Promise.all(keys.map(async (each) => records.write(each, expired)))
      const prolong = async (each: string, version: Version, n: number) => {
        if (n % 2 === 0) return records.touch(each, newRecord(clock).expiresAt, version)
        return !['missing', 'conflict'].includes(await records.replace(each, newRecord(clock), version))
      }
      const pruning = records.prune({ expiresAt: clock.ms })
      const prolonged = await Promise.all(keys.map((each, n) => prolong(each, versions[n] as Version, n)))
      await pruning
      const there = await Promise.all(keys.map(async (each) => (await records.read(each)) !== undefined))
      assert.deepEqual(there, prolonged)
    },
    { needs: ['prune'] },
  ),

  defineCase(
    'B24',
    'counting leaves out what has expired or began too long ago',
    async ({ store, records, clock }) => {
      assert.equal(await records.count({ expiresAt: clock.ms }), 0)
      for (let n = 0; n < MANY; n += 1) await store.set(`session-${n}`, newSession(clock))
      await store.destroy('session-7')
      assert.equal(await records.count({ expiresAt: clock.ms }), MANY - 1)
      assert.equal(await store.count(), MANY - 1)
      if (!records.isPruned) return // the server counts what it still holds
      await records.write(key, { ...newRecord(clock), createdAt: clock.ms + 1 })
      assert.equal(await records.count({ createdAt: clock.ms }), 1, 'by absoluteTimeout')
      await store.set('outlives', newSession(clock, {}, 2 * LIFETIME))
      await records.touch(key, clock.ms + 2 * LIFETIME, await records.write(key, newRecord(clock)))
      clock.advance(LIFETIME)
      assert.equal(await store.count(), 2)
    },
    { needs: ['count'] },
  ),

  defineCase(
    'B25',
    'a scan sees every record that is there throughout',
    async ({ records, clock }) => {
      const written = new Map<string, SessionRecord>()
      for (let n = 0; n < MANY; n += 1) {
        const record = newRecord(clock, `{"n":${n}}`, LIFETIME + n)
        if (n % 2 === 0) record.userId = `user ${n}`
        written.set(storageKey(n), record)
        await records.write(storageKey(n), record)
      }
      const seen = new Set<string>()
      for await (const { key, record } of records.scan()) {
        assert.deepEqual(record, written.get(key))
        seen.add(key)
        // What goes meanwhile must not make it step over what stays.
        if (seen.size % 3 === 0) await records.remove(key)
      }
      assert.equal(seen.size, written.size)
    },
    { needs: ['scan'] },
  ),

  defineCase(
    'B26',
    'clearing ends every session, and the store goes on',
    async ({ store, other, records, clock }) => {
      await writeMany(records, clock)
      await records.clear()
      for (let n = 0; n < MANY; n += 1) assert.equal(await records.read(storageKey(n)), undefined)
      await store.set('session-1', newSession(clock))
      const loaded = await store.get('session-1')
      await store.clear()
      assert.equal(await store.get('session-1'), null)
      assert.equal(await other.get('session-1'), null)
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
