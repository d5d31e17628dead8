import assert from 'node:assert/strict'
import { keyOf } from '../../key.ts'
import { defineCase } from '../case.ts'
import { dataOf, LIFETIME, load, newSession, stored } from '../data.ts'

/** What a save does when nobody else interferes, and that what is gone stays gone. */
export const savingCases = [
  defineCase('S16', 'an unchanged session is not written again', async ({ store, records, clock }) => {
    await store.set('id', newSession(clock, { a: 1 }))
    const before = await stored(records, keyOf('id'))
    clock.advance(1000)
    await store.set('id', await load(store, 'id', clock))
    assert.deepEqual(await stored(records, keyOf('id')), before)
  }),

  defineCase(
    'S17',
    'an unchanged session near its end is touched, not rewritten',
    async ({ store, records, clock }) => {
      await store.set('id', newSession(clock, { a: 1 }))
      const before = await stored(records, keyOf('id'))
      clock.advance(LIFETIME / 2)
      await store.set('id', await load(store, 'id', clock))
      const expiresAt = clock.ms + LIFETIME
      assert.deepEqual(await stored(records, keyOf('id')), {
        ...before,
        record: { ...before.record, expiresAt },
      })
    },
  ),

  defineCase('S18', 'a changed session is stored, and keeps its beginning', async ({ store, records, clock }) => {
    const createdAt = clock.ms
    await store.set('id', newSession(clock, { a: 1, b: 1 }))
    clock.advance(1000)
    const { b, ...session } = await load(store, 'id', clock)
    await store.set('id', { ...session, a: 2, c: 3 })
    assert.deepEqual(await dataOf(store, 'id'), { a: 2, c: 3 })
    assert.equal((await stored(records, keyOf('id'))).record.createdAt, createdAt)
  }),

  defineCase('S19', 'one session object can be saved several times', async ({ store, clock }) => {
    const session = newSession(clock, { a: 1 })
    await store.set('id', session)
    session.a = 2
    await store.set('id', session)
    const loaded = await load(store, 'id', clock)
    loaded.b = 1
    const first = store.set('id', loaded)
    loaded.b = 2
    await Promise.all([first, store.set('id', loaded)])
    assert.deepEqual(await dataOf(store, 'id'), { a: 2, b: 2 })
    loaded.a = 3
    const changed = store.set('id', loaded)
    loaded.a = 2 // as it was before that save
    await Promise.all([changed, store.set('id', loaded)])
    assert.deepEqual(await dataOf(store, 'id'), { a: 2, b: 2 })
  }),

  defineCase('S20', 'a destroyed session is gone, and destroying it again is fine', async ({ store, other, clock }) => {
    await store.set('id', newSession(clock))
    await store.destroy('id')
    assert.equal(await store.get('id'), null)
    assert.equal(await other.get('id'), null)
    await store.destroy('id')
  }),

  defineCase(
    'S21',
    'a request that changes a session does not bring it back after a log-out',
    async ({ store, other, clock }) => {
      await store.set('id', newSession(clock, { user: 1 }))
      const slow = await load(store, 'id', clock)
      await other.destroy('id')
      await store.set('id', { ...slow, late: true })
      assert.equal(await store.get('id'), null)
    },
  ),

  defineCase(
    'S22',
    'a request that only reads does not bring it back after a log-out',
    async ({ store, other, clock }) => {
      await store.set('id', newSession(clock, { user: 1 }))
      clock.advance(LIFETIME / 2)
      const slow = await load(store, 'id', clock)
      await other.destroy('id')
      await store.set('id', slow)
      await store.touch('id', slow)
      assert.equal(await store.get('id'), null)
    },
  ),

  defineCase('S23', 'a session that expired under a slow request does not come back', async ({ store, clock }) => {
    await store.set('id', newSession(clock, { user: 1 }))
    const slow = await load(store, 'id', clock)
    clock.advance(LIFETIME + 1000)
    slow.cookie.expires = new Date(clock.ms + LIFETIME)
    await store.set('id', { ...slow, late: true })
    assert.equal(await store.get('id'), null)
    await store.touch('id', slow)
    assert.equal(await store.get('id'), null)
  }),

  defineCase('S24', 'a touch moves the expiry and stores no change of data', async ({ store, clock }) => {
    await store.set('id', newSession(clock, { a: 1 }))
    clock.advance(LIFETIME / 2)
    const session = await load(store, 'id', clock)
    await store.touch('id', { ...session, a: 2 })
    clock.advance(LIFETIME - 1)
    assert.deepEqual(await dataOf(store, 'id'), { a: 1 })
  }),
]
