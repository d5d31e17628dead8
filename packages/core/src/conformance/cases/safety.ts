import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import type { SessionStore } from '../../store.ts'
import { defineCase } from '../case.ts'
import { dataOf, load, newRecord, newSession, stored } from '../data.ts'

/** What is at rest, and how the store behaves towards its callers. */
export const safetyCases = [
  defineCase(
    'S31',
    'a session is kept under the hash of its id, and the id nowhere',
    async ({ store, records, clock }) => {
      const id = 'Qk_XT2K7-clT-x1tVvoY6tIQ83iP72KN'
      await store.set(id, {
        ...newSession(clock, { user: 1 }),
        sessionId: id,
        encryptedSessionId: `${id}.signature`,
      })
      assert.equal(await store.backend.read(id), undefined)
      const { record } = await stored(records, hash('sha256', id, 'base64url'))
      assert.doesNotMatch(JSON.stringify(record), new RegExp(id))
    },
  ),

  defineCase('S32', 'stored text that cannot be read is no session, and is kept', async ({ store, records, clock }) => {
    const key = hash('sha256', 'id', 'base64url')
    for (const data of ['{"cut off', '', 'null', '[1]', '"text"']) {
      await records.write(key, newRecord(clock, data))
      assert.equal(await store.get('id'), null)
      assert.equal((await stored(records, key)).record.data, data)
    }
  }),

  defineCase('S33', 'stored text cannot reach an object’s prototype', async ({ store, records, clock }) => {
    const key = hash('sha256', 'id', 'base64url')
    const spoilt =
      '{"a":1,"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}},"b":{"__proto__":{"x":1}}}'
    await records.write(key, newRecord(clock, spoilt))
    const session = (await store.get('id')) as Record<string, unknown>
    assert.deepEqual(Reflect.ownKeys(session).sort(), ['a', 'b', '~loaded'])
    assert.deepEqual(Reflect.ownKeys(session.b as object), [])
  }),

  defineCase(
    'S34',
    'a session over maxBytes is refused, and what was stored stays',
    async ({ store, clock }) => {
      await store.set('id', newSession(clock, { a: 1 }))
      const session = await load(store, 'id', clock)
      const tooLarge = { ...session, a: 'é'.repeat(600) }
      await assert.rejects(store.set('id', tooLarge), {
        code: 'SESSION_TOO_LARGE',
        message: /\b1\d\d\d\b.*\b1000\b/,
      })
      assert.deepEqual(await dataOf(store, 'id'), { a: 1 })
      await store.set('id', { ...session, a: 'x'.repeat(600) })
    },
    { options: { maxBytes: 1000 } },
  ),

  defineCase(
    'S35',
    'each callback is called once, and at once when an unchanged session is saved',
    async ({ store, clock }) => {
      await callsBackOnce((done) => store.set('id', newSession(clock), done))
      const unchanged = await load(store, 'id', clock)
      let isCalled = false
      store.set('id', unchanged, () => {
        isCalled = true
      })
      assert.ok(isCalled, 'in the same tick')
      const [error, session] = await callsBackOnce((done) => store.get('id', done))
      assert.equal(error ?? null, null)
      await callsBackOnce((done) => store.touch('id', session as never, done))
      await callsBackOnce((done) => store.destroy('id', done))
      assert.deepEqual(await callsBackOnce((done) => store.get('id', done)), [null, null])
      const [refused] = await callsBackOnce((done) => store.set('id', { cookie: { expires: 'no date' } }, done))
      assert.equal((refused as { code?: string }).code, 'SESSION_EXPIRY_INVALID')
    },
  ),

  defineCase('S36', 'what the backend cannot do fails as unsupported', async ({ store }) => {
    const attempts: Record<string, () => Promise<unknown>> = {
      count: () => store.count(),
      clear: () => store.clear(),
      scan: () => store.scan().next(),
      check: () => store.check(),
    }
    for (const [ability, attempt] of Object.entries(attempts)) {
      if (store.backend[ability as keyof SessionStore['backend']] === undefined) {
        await assert.rejects(attempt(), { code: 'SESSION_UNSUPPORTED' })
      }
    }
  }),

  defineCase('S37', 'a closed store answers with an error, and closing again is fine', async ({ store }) => {
    await store.close()
    await store.close()
    await assert.rejects(store.get('id'), { code: 'SESSION_STORE_CLOSED' })
    await assert.rejects(store.ping(), { code: 'SESSION_STORE_CLOSED' })
  }),
]

/** Resolves to what the callback was given; fails when that is not exactly one call. */
async function callsBackOnce(operation: (done: (...values: unknown[]) => void) => void): Promise<unknown[]> {
  let calls = 0
  const values = await new Promise<unknown[]>((resolve) => {
    operation((...given) => {
      calls += 1
      resolve(given)
    })
  })
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(calls, 1, 'calls of the callback')
  return values
}
