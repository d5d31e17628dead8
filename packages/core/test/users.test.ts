import { setImmediate as nextTurn } from 'node:timers/promises'
import { userCases, userOptions } from '@session-stores/testing'
import { describe, expect, test } from 'vitest'
import { MemoryStore, SessionStore, type StoreOptions } from '../src/index.ts'
import { memoryWith } from './backends.ts'

const HOUR = 3_600_000

function setUp(options: StoreOptions = {}) {
  const clock = { now: Date.now() }
  const store = new MemoryStore({
    now: () => clock.now,
    userOf: (session) => session.user,
    pruneInterval: false,
    ...options,
  })
  const cookie = () => ({ expires: new Date(clock.now + HOUR), originalMaxAge: HOUR })
  const logIn = (id: string, user: unknown, data: object = {}) => store.set(id, { cookie: cookie(), user, ...data })
  const handles = async (user: string | number) => (await store.listByUser(user)).map(({ handle }) => handle)
  const handlesOf = (...ids: string[]) => ids.map((id) => store.handleOf(id))
  return { clock, store, cookie, logIn, handles, handlesOf }
}

describe('the sessions of a user', () => {
  test('are listed, last used first, with their times and data', async () => {
    const { clock, store, cookie, logIn, handlesOf } = setUp()
    const begun = clock.now
    await logIn('a', 'ada', { device: 'phone' })
    clock.now += 60_000
    await logIn('b', 'ada', { device: 'laptop' })
    await logIn('c', 'bob')
    await store.set('d', { cookie: cookie() })
    clock.now += 10 * 60_000
    await store.set('a', { ...(await store.get('a')), cookie: cookie() })
    const [a, b] = handlesOf('a', 'b')
    expect(await store.listByUser('ada')).toEqual([
      {
        handle: a,
        createdAt: begun,
        lastActiveAt: clock.now,
        expiresAt: clock.now + HOUR,
        session: expect.objectContaining({ user: 'ada', device: 'phone' }),
      },
      {
        handle: b,
        createdAt: begun + 60_000,
        lastActiveAt: begun + 60_000,
        expiresAt: begun + 60_000 + HOUR,
        session: expect.objectContaining({ user: 'ada', device: 'laptop' }),
      },
    ])
  })

  test('are those that have not ended', async () => {
    const { clock, store, logIn, handles, handlesOf } = setUp()
    for (const id of ['ended', 'destroyed']) await logIn(id, 7)
    clock.now += HOUR - 1
    await logIn('lives', 7)
    await store.destroy('destroyed')
    clock.now += 1
    expect(await handles(7)).toEqual(handlesOf('lives'))
  })

  test('go with the session when it changes hands', async () => {
    const { store, logIn, handles, handlesOf } = setUp()
    await logIn('id', 'ada')
    await store.set('id', { ...(await store.get('id')), user: 'bob' })
    expect(await handles('ada')).toEqual([])
    expect(await handles('bob')).toEqual(handlesOf('id'))
    await store.set('id', { ...(await store.get('id')), user: undefined })
    expect(await handles('bob')).toEqual([])
  })

  test('are kept through a merge', async () => {
    const { store, logIn, handles, handlesOf } = setUp()
    await logIn('id', 'ada')
    const [one, other] = [await store.get('id'), await store.get('id')]
    await store.set('id', { ...one, user: 'bob' })
    await store.set('id', { ...other, a: 1 })
    expect(await handles('bob')).toEqual(handlesOf('id'))
    expect(await store.get('id')).toMatchObject({ user: 'bob', a: 1 })
  })
})

describe('ending sessions', () => {
  test('one, by its handle', async () => {
    const { store, logIn, handlesOf } = setUp()
    await logIn('a', 'ada')
    const [a] = handlesOf('a') as [string]
    expect(await store.destroyByHandle(a)).toBe(true)
    expect(await store.get('a')).toBeNull()
    expect(await store.destroyByHandle(a)).toBe(false)
    await expect(store.destroyByHandle('a')).rejects.toThrow(TypeError)
  })

  test('one, by a handle that a browser sent: only if it is of the same user', async () => {
    const { store, logIn, handles, handlesOf } = setUp()
    for (const [id, user] of Object.entries({ a: 'ada', b: 'ada', other: 'bob', visitor: undefined }))
      await logIn(id, user)
    const [a, other, visitor] = handlesOf('a', 'other', 'visitor') as [string, string, string]
    for (const handle of [other, visitor, 'no handle', undefined, ['a']]) {
      expect(await store.destroyByHandle(handle as string, { userId: 'ada' })).toBe(false)
    }
    expect(await store.count()).toBe(4)
    expect(await store.destroyByHandle(a, { userId: 'ada' })).toBe(true)
    expect(await store.destroyByHandle(a, { userId: 'ada' })).toBe(false)
    expect(await handles('ada')).toEqual(handlesOf('b'))
    await expect(store.destroyByHandle(other, { userId: '' })).rejects.toThrow(TypeError)
  })

  test('all of a user, but the one that asks', async () => {
    const { store, logIn, handles, handlesOf } = setUp()
    for (const id of ['a', 'b', 'c']) await logIn(id, 'ada')
    await logIn('other', 'bob')
    expect(await store.destroyByUser('ada', { except: 'b' })).toBe(2)
    expect(await handles('ada')).toEqual(handlesOf('b'))
    expect(await handles('bob')).toEqual(handlesOf('other'))
    expect(await store.destroyByUser('ada')).toBe(1)
    expect(await store.destroyByUser('nobody')).toBe(0)
  })

  test('very many of one user, while requests go on', async () => {
    const { store, logIn, handles } = setUp()
    for (let n = 0; n < 10_000; n += 1) await logIn(`id${n}`, 'ada')
    const turnsDuring = async (work: Promise<unknown>) => {
      let isDone = false
      const done = work.finally(() => {
        isDone = true
      })
      let turns = 0
      for (; !isDone; turns += 1) await nextTurn()
      await done
      return turns
    }
    expect(await turnsDuring(handles('ada'))).toBeGreaterThan(90)
    expect(await turnsDuring(store.destroyByUser('ada'))).toBeGreaterThan(90)
    expect(await store.count()).toBe(0)
  })

  test('one that a request is changing at that moment does not come back', async () => {
    const { store, logIn, handles } = setUp()
    await logIn('id', 'ada')
    const loaded = await store.get('id')
    await store.destroyByUser('ada')
    await store.set('id', { ...loaded, late: true })
    expect(await store.get('id')).toBeNull()
    expect(await handles('ada')).toEqual([])
  })
})

describe('maxPerUser', () => {
  test('ends the session that was idle longest when there is one too many', async () => {
    const { clock, store, cookie, logIn, handles, handlesOf } = setUp({ maxPerUser: 2 })
    await logIn('first', 'ada')
    clock.now += 10 * 60_000
    await logIn('second', 'ada')
    await logIn('other', 'bob')
    clock.now += 10 * 60_000
    await store.set('first', { ...(await store.get('first')), cookie: cookie() })
    await logIn('third', 'ada')
    expect((await handles('ada')).sort()).toEqual(handlesOf('first', 'third').sort())
    expect(await handles('bob')).toEqual(handlesOf('other'))
  })

  test('counts a log-in without a new session, and never ends the one that logs in', async () => {
    const { store, cookie, logIn, handles, handlesOf } = setUp({ maxPerUser: 1 })
    await logIn('old', 'ada')
    await store.set('anonymous', { cookie: cookie() })
    await store.set('anonymous', { ...(await store.get('anonymous')), user: 'ada' })
    expect(await handles('ada')).toEqual(handlesOf('anonymous'))
  })

  test('needs to know whose a session is, and a server that can list', () => {
    expect(() => new MemoryStore({ maxPerUser: 1 })).toThrow(/userOf/)
    expect(() => new MemoryStore({ maxPerUser: 0, userOf: () => 1 })).toThrow(/maxPerUser/)
    const cannotList = memoryWith({ findByUser: undefined as never })
    expect(() => new SessionStore(cannotList, { maxPerUser: 1, userOf: () => 1 })).toThrow(
      expect.objectContaining({ code: 'SESSION_UNSUPPORTED' }),
    )
  })
})

test('index() notes down whose the sessions are that were stored before', async () => {
  const { clock, store } = setUp({ userOf: undefined })
  for (const [id, user] of Object.entries({ a: 'ada', b: 'ada', c: undefined })) await store.set(id, { user })
  const known = new SessionStore(store.backend, { now: () => clock.now, userOf: (session) => session.user })
  expect(await known.listByUser('ada')).toEqual([])
  expect(await known.index()).toBe(2)
  expect((await known.listByUser('ada')).length).toBe(2)
  expect(await known.index()).toBe(0)
})

test('userOf tells whose a session is, as lists know it', () => {
  const { store } = setUp()
  expect(['ada', 7, undefined, null, ''].map((user) => store.userOf({ user }))).toEqual([
    'ada',
    '7',
    undefined,
    undefined,
    undefined,
  ])
  expect(() => new MemoryStore().userOf({})).toThrow(/the option userOf/)
})

describe('a session from before userOf was set', () => {
  async function setUpBefore() {
    let takesWrites = true
    const backend = memoryWith((sound) => ({
      replace: (...given) => {
        if (!takesWrites) throw new Error('no writes')
        return sound.replace(...given)
      },
    }))
    const clock = { now: Date.now() }
    const options = { now: () => clock.now, pruneInterval: false } as const
    const cookie = () => ({ expires: new Date(clock.now + HOUR), originalMaxAge: HOUR })
    await new SessionStore(backend, options).set('id', { cookie: cookie(), user: 'ada' })
    const store = new SessionStore(backend, { ...options, ...userOptions, timeout: 50 })
    /** What a request does that only reads. */
    const read = async () => store.set('id', { ...(await store.get('id')), cookie: cookie() })
    const refuseWrites = () => {
      takesWrites = false
    }
    return { clock, store, read, refuseWrites }
  }

  test('gets its user from a request that only reads, when its expiry is moved anyway', async () => {
    const { clock, store, read } = await setUpBefore()
    await read()
    expect(await store.listByUser('ada')).toEqual([])
    clock.now += HOUR / 2
    await read()
    expect(await store.listByUser('ada')).toMatchObject([{ lastActiveAt: clock.now, session: { user: 'ada' } }])
  })

  test('… which passes all the same while the server takes no writes', async () => {
    const { clock, store, read, refuseWrites } = await setUpBefore()
    clock.now += HOUR / 2
    refuseWrites()
    await read()
    expect(await store.listByUser('ada')).toEqual([])
    expect(await store.get('id')).toMatchObject({ user: 'ada' })
  })

  test('a touch by hand does not ask what is not stored whose it is', async () => {
    const { clock, store } = await setUpBefore()
    clock.now += HOUR / 2
    const expires = new Date(clock.now + HOUR)
    await store.touch('id', { ...(await store.get('id')), user: 'eve', cookie: { expires, originalMaxAge: HOUR } })
    expect(await store.listByUser('eve')).toEqual([])
  })
})

describe('behind @fastify/session', () => {
  for (const each of userCases) {
    test(each.name, () =>
      each.run(() => {
        const store = new MemoryStore(userOptions)
        return [store, new SessionStore(store.backend, userOptions)]
      }),
    )
  }
})

describe('what cannot be', () => {
  test('is refused before anything is asked', async () => {
    const cannotList = new SessionStore(memoryWith({ findByUser: undefined as never }), { userOf: () => 'ada' })
    await expect(cannotList.listByUser('ada')).rejects.toMatchObject({ code: 'SESSION_UNSUPPORTED' })
    await expect(cannotList.destroyByUser('ada')).rejects.toMatchObject({ code: 'SESSION_UNSUPPORTED' })
    await expect(new MemoryStore().listByUser('ada')).rejects.toThrow(/userOf/)
    const { store } = setUp()
    for (const wrong of ['', undefined, null, {}, Number.NaN]) {
      await expect(store.destroyByUser(wrong as never)).rejects.toThrow(TypeError)
    }
  })

  test('a user that is no text and no number is an error, and nothing is stored', async () => {
    const { store, logIn } = setUp()
    await expect(logIn('id', { name: 'ada' })).rejects.toThrow(/userOf.*got an object/)
    expect(await store.get('id')).toBeNull()
  })

  test('an empty user id is nobody', async () => {
    const { store, logIn } = setUp({ maxPerUser: 1 })
    for (const id of ['a', 'b']) await logIn(id, '')
    expect(await store.count()).toBe(2)
  })
})
