import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { keyOf } from '../../key.ts'
import type { SessionStore } from '../../store.ts'
import { defineCase } from '../case.ts'
import { dataOf, LIFETIME, load, MANY, newRecord, newSession, replaced, storageKey, type TestSession } from '../data.ts'
import { forMeetings } from '../meetings.ts'
import { soon, unlessGivenUp } from './giving-up.ts'

const needs = ['findByUser', 'removeOfUser'] as const
const options = { userOf: (session: TestSession) => session.user as string | undefined }
const odd = 'user "7" é 🙂'

/** Inserting, and the verbs by user. */
export const userRecordCases = [
  defineCase(
    'B42',
    'inserting makes a record, and never overwrites one',
    async ({ records, clock }) => {
      const key = storageKey()
      const record = { ...newRecord(clock), userId: odd }
      const version = await records.insert(key, record)
      assert.deepEqual(await records.read(key), { record, version })
      assert.equal(await records.insert(key, newRecord(clock, '{"other":1}')), undefined)
      assert.deepEqual(await records.read(key), { record, version })
      assert.equal(await records.insert(key, record, version), version, 'sent again')
      const answers = await Promise.all(
        Array.from({ length: 16 }, () => records.insert(storageKey(1), newRecord(clock))),
      )
      assert.equal(answers.filter((answer) => answer !== undefined).length, 1)
    },
    { needs: ['insert'] },
  ),

  defineCase(
    'B43',
    "finding by user gives every record of that user, and nobody else's",
    async ({ records, clock }) => {
      const users = ['ada', odd, undefined]
      for (let n = 0; n < MANY; n += 1) {
        const userId = users[n % 3]
        await records.write(storageKey(n), { ...newRecord(clock, `{"n":${n}}`), ...(userId && { userId }) })
      }
      for (const [u, userId] of users.entries()) {
        if (userId === undefined) continue
        const expected = Array.from({ length: MANY }, (_, n) => n).filter((n) => n % 3 === u)
        assert.deepEqual(await records.keysOfUser(userId), expected.map(storageKey).sort())
        for await (const { key, record } of records.findByUser(userId)) {
          assert.equal(record.userId, userId)
          assert.equal(storageKey(JSON.parse(record.data).n), key)
        }
      }
      assert.deepEqual(await records.keysOfUser('nobody'), [])
    },
    { needs: [...needs] },
  ),

  defineCase(
    'B44',
    'whose a record is follows each change of it',
    async ({ records, clock }) => {
      const of = (userId?: string) => ({ ...newRecord(clock), ...(userId && { userId }) })
      const key = storageKey()
      const lists = async () => Promise.all(['ada', 'bob'].map((userId) => records.keysOfUser(userId)))
      const first = await records.write(key, of('ada'))
      const second = replaced(await records.replace(key, of('bob'), first))
      assert.deepEqual(await lists(), [[], [key]])
      const third = replaced(await records.replace(key, of(), second))
      assert.deepEqual(await lists(), [[], []])
      replaced(await records.replace(key, of('ada'), third))
      assert.deepEqual(await lists(), [[key], []])
      await records.write(key, of('bob'))
      assert.deepEqual(await lists(), [[], [key]])
      await records.remove(key)
      assert.deepEqual(await lists(), [[], []])
      await records.write(key, of('ada'))
      assert.deepEqual(await lists(), [[key], []])
    },
    { needs: [...needs] },
  ),

  defineCase(
    'B45',
    'a record is found as long as it is there, however far touches and replaces moved its end',
    async ({ records, clock }) => {
      clock.ms = Date.now() // which servers go by
      const short = { ...newRecord(clock, '{"a":1}', 800), userId: 'ada' }
      const long = { ...newRecord(clock, '{"a":1}', LIFETIME), userId: 'ada' }
      const [touched, changed] = [storageKey(0), storageKey(1)]
      // On a machine too slow for that, one may be gone already.
      const isTouched = await records.touch(touched, long.expiresAt, await records.write(touched, short), 'ada')
      const replacedAs = await records.replace(changed, long, await records.write(changed, { ...short, userId: 'bob' }))
      await sleep(2500)
      const expected = [isTouched ? touched : [], replacedAs === 'missing' ? [] : changed].flat().sort()
      assert.deepEqual(await records.keysOfUser('ada'), expected)
    },
    { needs: [...needs] },
  ),

  defineCase(
    'B46',
    "removing of a user deletes what still is that user's, and nothing else",
    async ({ records, clock }) => {
      const of = (userId?: string) => ({ ...newRecord(clock), ...(userId && { userId }) })
      const owners = ['ada', 'bob', undefined, 'ada', 'ada']
      const all = owners.map((_, n) => storageKey(n))
      for (const [n, userId] of owners.entries()) await records.write(all[n] as string, of(userId))
      assert.equal(await records.removeOfUser('ada', [...all.slice(0, 4), storageKey(99)]), 2)
      const there = await Promise.all(all.map(async (key) => (await records.read(key)) !== undefined))
      assert.deepEqual(there, [false, true, true, false, true])
      assert.equal(await records.removeOfUser('ada', all.slice(0, 4)), 0, 'sent again')
      assert.deepEqual(await records.keysOfUser('ada'), [all[4]])
    },
    { needs: [...needs] },
  ),

  defineCase(
    'B47',
    'a record that changes hands while it is removed of a user is either gone, or the other user has it',
    async ({ records, clock }) => {
      const of = (userId: string) => ({ ...newRecord(clock), userId })
      await forMeetings(async (key, meet) => {
        const version = await records.write(key, of('ada'))
        const [removed, answer] = await meet(
          async () => records.removeOfUser('ada', [key]),
          async () => records.replace(key, of('bob'), version),
        )
        assert.equal(answer === 'missing', removed === 1)
        assert.equal((await records.read(key))?.record.userId, removed === 1 ? undefined : 'bob')
      })
    },
    { needs: [...needs] },
  ),

  defineCase(
    'B48',
    'a record of a user is found also when the call that wrote it was given up',
    async ({ records, clock }) => {
      const of = (userId?: string) => ({ ...newRecord(clock), ...(userId && { userId }) })
      const keys = Array.from({ length: MANY }, (_, n) => storageKey(n))
      const versions = await Promise.all(keys.map((key) => records.write(key, of())))
      await Promise.all(
        keys.map((key, n) =>
          n % 2 === 0
            ? unlessGivenUp(records.write(key, of('ada'), soon()))
            : unlessGivenUp(records.replace(key, of('ada'), versions[n] as string, soon())),
        ),
      )
      const nobodys = storageKey(MANY)
      await records.write(nobodys, of())
      const found = await records.keysOfUser('ada')
      for (const key of [...keys, nobodys]) {
        assert.equal(found.includes(key), (await records.read(key))?.record.userId === 'ada')
      }
    },
    { needs: [...needs] },
  ),
]

const handles = async (store: SessionStore, userId: string | number) =>
  (await store.listByUser(userId)).map(({ handle }) => handle).sort()

/** Sessions by user, as applications see them. */
export const userCases = [
  defineCase(
    'S49',
    'the sessions of a user are listed, last used first, and each ends by its handle',
    async ({ store, other, clock }) => {
      const begun = clock.ms
      await store.set('first', newSession(clock, { user: odd, n: 1 }))
      clock.advance(LIFETIME / 4)
      await other.set('second', newSession(clock, { user: odd, n: 2 }))
      await other.set('another', newSession(clock, { user: 'bob' }))
      await store.set('nobody', newSession(clock))
      clock.advance(LIFETIME / 4)
      await store.set('first', await load(store, 'first', clock))
      const list = await other.listByUser(odd)
      assert.deepEqual(
        list.map(({ session, ...rest }) => ({ ...rest, n: session.n })),
        [
          { handle: keyOf('first'), createdAt: begun, lastActiveAt: clock.ms, expiresAt: clock.ms + LIFETIME, n: 1 },
          {
            handle: keyOf('second'),
            createdAt: begun + LIFETIME / 4,
            lastActiveAt: begun + LIFETIME / 4,
            expiresAt: begun + LIFETIME / 4 + LIFETIME,
            n: 2,
          },
        ],
      )
      assert.equal(await store.destroyByHandle(keyOf('first')), true)
      assert.equal(await other.get('first'), null)
      assert.deepEqual(await handles(store, odd), [keyOf('second')])
    },
    { needs: [...needs], options },
  ),

  defineCase(
    'S50',
    "destroyByUser ends every session of the user but the excepted one, and nobody else's",
    async ({ store, other, clock }) => {
      const ids = Array.from({ length: 250 }, (_, n) => `session-${n}`)
      await Promise.all(ids.map((id) => store.set(id, newSession(clock, { user: 'ada' }))))
      await store.set('bobs', newSession(clock, { user: 'bob' }))
      assert.equal(await other.destroyByUser('ada', { except: 'session-7' }), 249)
      const left = await Promise.all([...ids, 'bobs'].map((id) => store.get(id)))
      assert.deepEqual(
        left.flatMap((session, n) => (session ? [n] : [])),
        [7, 250],
      )
      assert.deepEqual(await handles(store, 'ada'), [keyOf('session-7')])
    },
    { needs: [...needs], options },
  ),

  defineCase(
    'S51',
    'once destroyByUser has resolved, no session that the user had comes back, whatever requests were changing it',
    async ({ store, other, clock }) => {
      for (let round = 0; round < 8; round += 1) {
        const ids = Array.from({ length: 8 }, (_, n) => `round-${round}-${n}`)
        for (const id of ids) await store.set(id, newSession(clock, { user: 'ada' }))
        const saves = ids.flatMap((id) =>
          [store, other, store, other].map(async (one, n) => {
            const session = await load(one, id, clock).catch(() => null)
            for (let turn = 0; turn < n * round; turn += 1) await new Promise(setImmediate)
            if (session) await one.set(id, { ...session, [`by${n}`]: round })
          }),
        )
        await Promise.all([other.destroyByUser('ada'), ...saves])
        for (const id of ids) assert.equal(await store.get(id), null, id)
        assert.deepEqual(await handles(store, 'ada'), [])
      }
    },
    { needs: [...needs], options },
  ),

  defineCase(
    'S52',
    'a session that changes hands moves with its user, and one that begins later lives',
    async ({ store, other, clock }) => {
      await store.set('id', newSession(clock, { user: 'ada' }))
      await store.set('id', { ...(await load(store, 'id', clock)), user: 'bob' })
      assert.equal(await other.destroyByUser('ada'), 0)
      assert.deepEqual(await dataOf(store, 'id'), { user: 'bob' })
      assert.deepEqual(await handles(other, 'bob'), [keyOf('id')])
      await other.destroyByUser('bob')
      await store.set('later', newSession(clock, { user: 'bob' }))
      assert.deepEqual(await handles(other, 'bob'), [keyOf('later')])
    },
    { needs: [...needs], options },
  ),

  defineCase(
    'S53',
    'maxPerUser ends the session that was idle longest, and of log-ins at once leaves as many as it says',
    async ({ store, other, clock }) => {
      for (const id of ['first', 'second', 'third']) {
        clock.advance(1000)
        await store.set(id, newSession(clock, { user: 'ada' }))
      }
      assert.deepEqual(await handles(store, 'ada'), [keyOf('second'), keyOf('third')].sort())
      await Promise.all(
        Array.from({ length: 8 }, (_, n) =>
          (n % 2 ? store : other).set(`at-once-${n}`, newSession(clock, { user: 'ada' })),
        ),
      )
      assert.equal((await handles(store, 'ada')).length, 2)
    },
    { needs: [...needs], options: { ...options, maxPerUser: 2 } },
  ),

  defineCase(
    'S54',
    'sessions from before userOf was set get their user when they are next changed or touched, or all at once by index()',
    async ({ open, store, clock }) => {
      const before = await open({ options: { userOf: undefined } })
      for (const id of ['a', 'b', 'c']) await before.set(id, newSession(clock, { user: 'ada' }))
      await before.set('d', newSession(clock))
      assert.deepEqual(await handles(store, 'ada'), [])
      await store.set('a', { ...(await load(store, 'a', clock)), changed: true })
      assert.deepEqual(await handles(store, 'ada'), [keyOf('a')])
      clock.advance(LIFETIME / 2)
      await store.set('b', await load(store, 'b', clock))
      assert.deepEqual(await handles(store, 'ada'), [keyOf('a'), keyOf('b')].sort())
      assert.deepEqual(await dataOf(store, 'b'), { user: 'ada' })
      assert.equal(await store.index(), 1)
      assert.deepEqual(await handles(store, 'ada'), [keyOf('a'), keyOf('b'), keyOf('c')].sort())
    },
    { needs: [...needs, 'scan'], options },
  ),
]
