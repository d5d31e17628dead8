import assert from 'node:assert/strict'
import { defineCase } from '../case.ts'
import { LIFETIME, load, newSession, type TestSession } from '../data.ts'

/** The expiry contract, through the store. */
export const expiryCases = [
  defineCase('S1', 'a session is readable up to the last millisecond, and not after', async ({ store, clock }) => {
    await store.set('id', newSession(clock))
    clock.advance(LIFETIME - 1)
    assert.ok(await store.get('id'), 'one millisecond before its end')
    clock.advance(1)
    assert.equal(await store.get('id'), null, 'at its end')
  }),

  defineCase(
    'S2',
    'a cookie without an expiry gets the ttl, from its last save',
    async ({ store, clock }) => {
      await store.set('id', {
        cookie: { expires: null, originalMaxAge: null },
      })
      clock.advance(LIFETIME - 1)
      const session = await load(store, 'id', clock)
      assert.equal(session.cookie.expires, null, 'it stays a browser-session cookie')
      await store.set('id', session)
      clock.advance(LIFETIME - 1)
      assert.ok(await store.get('id'))
      clock.advance(1000)
      assert.equal(await store.get('id'), null)
    },
    { options: { ttl: LIFETIME } },
  ),

  defineCase(
    'S3',
    'an absolute timeout ends even a busy session',
    async ({ store, clock }) => {
      await store.set('id', newSession(clock))
      for (let n = 0; n < 4; n += 1) {
        clock.advance(LIFETIME / 2 - 1)
        await store.set('id', { ...(await load(store, 'id', clock)), n })
      }
      clock.advance(3)
      assert.ok(await store.get('id'))
      clock.advance(1000)
      assert.equal(await store.get('id'), null)
    },
    { options: { absoluteTimeout: 2 * LIFETIME } },
  ),

  defineCase(
    'S4',
    'a touch waits until it moves the expiry by touchInterval',
    async ({ store, clock }) => {
      await store.set('id', newSession(clock))
      const end = async () => ((await store.get('id')) as TestSession).cookie.expires?.getTime()
      const first = clock.ms + LIFETIME
      clock.advance(9999)
      await store.set('id', await load(store, 'id', clock))
      assert.equal(await end(), first)
      clock.advance(1)
      await store.set('id', await load(store, 'id', clock))
      assert.equal(await end(), first + 10_000)
    },
    { options: { touchInterval: 10_000 } },
  ),

  defineCase('S5', 'saving a session whose expiry has passed removes it', async ({ store, clock }) => {
    await store.set('new', newSession(clock, {}, -1000))
    assert.equal(await store.get('new'), null)
    await store.set('id', newSession(clock))
    const session = await load(store, 'id', clock)
    session.cookie.expires = new Date(clock.ms - 1000)
    await store.set('id', session)
    assert.equal(await store.get('id'), null)
  }),

  defineCase('S6', 'an expiry that is no date is an error, and what was stored stays', async ({ store, clock }) => {
    await store.set('id', newSession(clock, { a: 1 }))
    const session = await load(store, 'id', clock)
    session.cookie.expires = new Date(Number.NaN)
    await assert.rejects(store.set('id', { ...session, a: 2 }), {
      code: 'SESSION_EXPIRY_INVALID',
    })
    assert.equal(((await store.get('id')) as TestSession).a, 1)
  }),

  defineCase('S7', 'what get answers carries the true expiry', async ({ store, clock }) => {
    await store.set('id', newSession(clock))
    const expires = new Date(clock.ms + LIFETIME)
    clock.advance(1)
    await store.set('id', await load(store, 'id', clock)) // too little for a touch
    assert.deepEqual(((await store.get('id')) as TestSession).cookie.expires, expires)
  }),

  defineCase('S8', 'far-off expiries work, and endless ones are capped', async ({ store, clock }) => {
    const days = 24 * 60 * 60_000
    for (const expires of [clock.ms + 45 * days, Date.UTC(2200, 0, 1), 8.64e15, Number.POSITIVE_INFINITY]) {
      await store.set('id', { cookie: { expires, originalMaxAge: null } })
      const { cookie } = (await store.get('id')) as TestSession
      assert.equal(cookie.expires?.getTime(), Math.min(expires, 8.64e15))
    }
  }),

  defineCase('S9', 'an expiry moved to earlier holds at once', async ({ store, clock }) => {
    await store.set('id', newSession(clock))
    const session = await load(store, 'id', clock)
    session.cookie.expires = new Date(clock.ms + 1000)
    await store.set('id', session)
    clock.advance(2000)
    assert.equal(await store.get('id'), null)
  }),

  defineCase('S10', 'a slow request does not shorten a session that others kept busy', async ({ store, clock }) => {
    await store.set('id', newSession(clock))
    const slow = await load(store, 'id', clock)
    clock.advance(LIFETIME - 1)
    await store.set('id', {
      ...(await load(store, 'id', clock)),
      busy: true,
    })
    clock.advance(LIFETIME - 1)
    await store.set('id', { ...slow, late: true })
    const { busy, late } = await load(store, 'id', clock)
    assert.deepEqual({ busy, late }, { busy: true, late: true })
  }),

  defineCase('S11', 'a slow request does not undo a touch', async ({ store, clock }) => {
    await store.set('id', newSession(clock))
    const slow = await load(store, 'id', clock)
    clock.advance(LIFETIME - 2)
    await store.set('id', await load(store, 'id', clock))
    clock.advance(1)
    await store.set('id', { ...slow, late: true })
    clock.advance(LIFETIME - 2)
    assert.equal((await load(store, 'id', clock)).late, true)
  }),

  defineCase(
    'S12',
    'a request that only reads does not undo an expiry moved to earlier',
    async ({ store, other, clock }) => {
      await store.set('id', newSession(clock))
      clock.advance(LIFETIME / 2)
      const reads = await load(store, 'id', clock)
      const ends = await load(other, 'id', clock)
      ends.cookie.expires = new Date(clock.ms + 1000)
      await other.set('id', ends)
      await store.set('id', reads)
      clock.advance(2000)
      assert.equal(await store.get('id'), null)
      await store.set('id', reads)
      assert.equal(await store.get('id'), null)
    },
  ),

  defineCase(
    'S13',
    'saving the same object again undoes nothing that others did to the expiry',
    async ({ store, other, clock }) => {
      await store.set('id', newSession(clock))
      const slow = await load(store, 'id', clock)
      clock.advance(LIFETIME - 2)
      await other.set('id', await load(other, 'id', clock))
      clock.advance(1)
      slow.late = 1
      await store.set('id', slow)
      slow.late = 2
      await store.set('id', slow)
      await store.set('id', slow)
      clock.advance(LIFETIME - 2)
      await other.set('id', await load(other, 'id', clock))
      const ends = await load(other, 'id', clock)
      const reads = await load(store, 'id', clock)
      assert.equal(reads.late, 2)
      ends.cookie.expires = new Date(clock.ms + 1000)
      await other.set('id', ends)
      for (const n of [1, 2]) await store.set('id', { ...reads, n })
      for (const n of [3, 4, 4]) {
        reads.n = n
        await store.set('id', reads)
      }
      clock.advance(2000)
      assert.equal(await store.get('id'), null)
    },
  ),

  defineCase(
    'S14',
    'where two requests ended a session early, the earlier end holds',
    async ({ store, other, clock }) => {
      for (const soonerFirst of [true, false]) {
        await store.set('id', newSession(clock))
        const [soon, later] = [await load(store, 'id', clock), await load(other, 'id', clock)]
        soon.cookie.expires = new Date(clock.ms + 1000)
        later.cookie.expires = new Date(clock.ms + LIFETIME / 2)
        if (soonerFirst) await store.set('id', soon)
        await other.set('id', { ...later, late: true })
        if (!soonerFirst) await store.set('id', soon)
        clock.advance(2000)
        assert.equal(await store.get('id'), null)
      }
    },
  ),

  defineCase(
    'S15',
    'an expiry moved on by hand is not lost to a change made meanwhile',
    async ({ store, other, clock }) => {
      await store.set('id', { cookie: { expires: new Date(clock.ms + LIFETIME), originalMaxAge: null } })
      const [prolongs, changes] = [await load(store, 'id', clock), await load(other, 'id', clock)]
      prolongs.cookie.expires = new Date(clock.ms + 10 * LIFETIME)
      await store.set('id', prolongs)
      await other.set('id', { ...changes, late: true })
      clock.advance(10 * LIFETIME - 1)
      assert.equal((await load(store, 'id', clock)).late, true)
    },
  ),
]
