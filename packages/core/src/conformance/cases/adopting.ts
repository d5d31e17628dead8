import assert from 'node:assert/strict'
import { keyOf } from '../../key.ts'
import type { OldStore } from '../../options.ts'
import { defineCase } from '../case.ts'
import { dataOf, LIFETIME, newSession, stored } from '../data.ts'

/** A store as others write them: text by the raw id. */
class PlainStore implements OldStore {
  readonly sessions = new Map<string, string>()

  get(id: string, callback: (error?: unknown, session?: unknown) => void): void {
    const text = this.sessions.get(id)
    setImmediate(callback, null, text === undefined ? null : JSON.parse(text))
  }

  destroy(id: string, callback: (error?: unknown) => void): void {
    this.sessions.delete(id)
    setImmediate(callback)
  }
}

/** Moving in, and processes whose clocks differ. */
export const adoptingCases = [
  defineCase(
    'S58',
    'a session of the store before is adopted once, keeps its end, and a log-out meanwhile holds',
    async ({ open, clock }) => {
      const old = new PlainStore()
      const [store, other] = [await open({ options: { adopt: old } }), await open({ options: { adopt: old } })]
      for (let n = 0; n < 12; n += 1) {
        old.sessions.set(`id${n}`, JSON.stringify(newSession(clock, { user: 'ada' }, LIFETIME / 2)))
        const [one, two] = await Promise.all([store.get(`id${n}`), other.get(`id${n}`)])
        assert.deepEqual([one?.user, two?.user], ['ada', 'ada'])
        assert.equal(one.cookie.expires.getTime(), clock.ms + LIFETIME / 2)
        await Promise.all([store.set(`id${n}`, { ...one, a: 1 }), other.set(`id${n}`, { ...two, b: 1 })])
        assert.deepEqual(await dataOf(other, `id${n}`), { user: 'ada', a: 1, b: 1 })
      }
      assert.equal(old.sessions.size, 0)
      for (let n = 0; n < 12; n += 1) {
        old.sessions.set(`out${n}`, JSON.stringify(newSession(clock, { user: 'ada' })))
        const adopting = store.get(`out${n}`)
        for (let turn = 0; turn < n; turn += 1) await new Promise(setImmediate)
        await Promise.all([adopting, other.destroy(`out${n}`)])
        assert.equal(await store.get(`out${n}`), null, `log-out after ${n} turns`)
        assert.equal(old.sessions.size, 0)
      }
    },
    { needs: ['insert'] },
  ),

  defineCase(
    'S59',
    'a process whose clock is five minutes off, either way, ends and shortens no session',
    async ({ open, records, clock }) => {
      const OFF = 5 * 60_000
      const lifetime = 2 * OFF + 60_000
      const store = await open({ options: { ttl: lifetime } })
      const browserSession = { expires: null, originalMaxAge: null }
      for (const off of [-OFF, OFF]) {
        for (const cookie of [newSession(clock, {}, lifetime).cookie, browserSession]) {
          const wrong = { now: () => clock.ms + off, ttl: lifetime }
          const process = await open({ options: wrong })
          const id = `id ${off} ${cookie.originalMaxAge}`
          await store.set(id, { cookie, user: 'ada' })
          const end = async () => (await stored(records, keyOf(id))).record.expiresAt
          const before = await end()
          for (let n = 0; n < 3; n += 1) {
            const session = { ...(await process.get(id)) }
            // as the plugin does at load
            if (cookie.expires) session.cookie = { ...session.cookie, expires: new Date(wrong.now() + lifetime) }
            await process.set(id, session)
            assert.ok((await end()) >= before, 'it ends no earlier')
          }
          await process.prune()
          assert.equal((await store.get(id))?.user, 'ada')
        }
      }
    },
  ),
]
