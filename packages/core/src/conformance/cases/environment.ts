import assert from 'node:assert/strict'
import { keyOf } from '../../key.ts'
import { defineCase } from '../case.ts'
import { dataOf, load, newSession, stored } from '../data.ts'

const HOUR = 60 * 60_000

/** What surrounds a store: other processes, their clocks, and the plugin. */
export const environmentCases = [
  defineCase('S38', 'what another process saves or ends is seen at the next load', async ({ store, other, clock }) => {
    await store.set('id', newSession(clock, { a: 1 }))
    for (const a of [2, 3]) {
      await other.set('id', { ...(await load(other, 'id', clock)), a })
      assert.deepEqual(await dataOf(store, 'id'), { a })
    }
    await other.destroy('id')
    assert.equal(await store.get('id'), null)
    await other.set('id', newSession(clock, { a: 4 }))
    assert.deepEqual(await dataOf(store, 'id'), { a: 4 })
  }),

  defineCase(
    'S39',
    "pruning leaves what has only just expired: a clock that is an hour ahead deletes nobody's session",
    async ({ store, records, open, clock }) => {
      const ahead = await open({ options: { now: () => clock.ms + HOUR } })
      await store.set('id', newSession(clock, {}, HOUR / 2))
      await ahead.prune()
      assert.ok(await store.get('id'))
      clock.advance(4 * HOUR)
      assert.equal(await store.prune(), 1, 'once it has been over for hours')
      assert.equal(await records.read(keyOf('id')), undefined)
    },
    { needs: ['prune'] },
  ),

  defineCase(
    'S40',
    'a session object of the plugin is not new just because the application deleted its keys',
    async ({ store, other, records, clock }) => {
      const createdAt = clock.ms
      await store.set('id', newSession(clock, { a: 1, b: 1 }))
      clock.advance(1000)
      const { cookie } = await load(store, 'id', clock)
      const emptied = { cookie, regenerate() {}, reload() {}, c: 1 }
      await store.set('id', emptied)
      assert.deepEqual(await dataOf(store, 'id'), { c: 1 })
      assert.equal((await stored(records, keyOf('id'))).record.createdAt, createdAt)
      await load(store, 'id', clock)
      await other.destroy('id')
      await store.set('id', { ...emptied, c: 2 })
      assert.equal(await store.get('id'), null)
    },
  ),
]
