import fastifySession from '@fastify/session'
import { Browser, buildApp } from '@session-stores/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { MemoryStore, type OldStore, SessionStore, type StoreOptions } from '../src/index.ts'
import { memoryWith } from './backends.ts'

const HOUR = 3_600_000

/** A store as others write them: plain JSON by the raw id. */
class PlainStore {
  readonly sessions = new Map<string, string>()
  asked = 0
  /** Called before each answer. */
  before: (what: 'get' | 'destroy', id: string) => Promise<void> | void = () => {}

  put(id: string, session: object): void {
    this.sessions.set(id, JSON.stringify(session))
  }

  async get(id: string, callback: (error?: unknown, session?: unknown) => void): Promise<void> {
    this.asked += 1
    try {
      const text = this.sessions.get(id)
      await this.before('get', id)
      callback(null, text === undefined ? null : JSON.parse(text))
    } catch (error) {
      callback(error)
    }
  }

  async destroy(id: string, callback: (error?: unknown) => void): Promise<void> {
    try {
      await this.before('destroy', id)
      this.sessions.delete(id)
      callback()
    } catch (error) {
      callback(error)
    }
  }
}

function setUp(options: StoreOptions = {}) {
  const old = new PlainStore()
  const first = new MemoryStore({ adopt: old, pruneInterval: false, ...options })
  /** Another process over the same records. */
  const other = new SessionStore(first.backend, { adopt: old, pruneInterval: false, ...options })
  return { old, store: first, other }
}

const cookie = (expires = new Date(Date.now() + HOUR)) => ({ expires, originalMaxAge: HOUR, path: '/' })
const unavailable = { code: 'SESSION_STORE_UNAVAILABLE', statusCode: 503 }

describe('a session of the old store', () => {
  test('is taken over with its data and its expiry, and ended there', async () => {
    const { old, store } = setUp()
    const expires = new Date(Date.now() + HOUR / 2)
    old.put('id', { cookie: cookie(expires), user: 'ada', cart: [1, 2] })
    const session = await store.get('id')
    expect(session).toMatchObject({ user: 'ada', cart: [1, 2], cookie: { expires, originalMaxAge: HOUR } })
    expect(old.sessions.size).toBe(0)
    await store.set('id', { ...session, a: 1 })
    expect(await store.get('id')).toMatchObject({ user: 'ada', a: 1 })
  })

  test('is looked for only where ours has none', async () => {
    const { old, store } = setUp()
    await store.set('id', { a: 1 })
    old.put('id', { cookie: cookie(), a: 'old' })
    expect(await store.get('id')).toMatchObject({ a: 1 })
    expect(old.asked).toBe(0)
  })

  test('that is over is no session', async () => {
    const { old, store } = setUp()
    old.put('id', { cookie: cookie(new Date(Date.now() - 1)), user: 'ada' })
    expect(await store.get('id')).toBeNull()
    expect(await store.count()).toBe(0)
  })

  test('is judged like any other: too large is an error and stays there, and __proto__ reaches nothing', async () => {
    const { old, store } = setUp({ maxBytes: 1000 })
    old.put('large', { cookie: cookie(), text: 'x'.repeat(1000) })
    await expect(store.get('large')).rejects.toMatchObject({ code: 'SESSION_TOO_LARGE' })
    expect(old.sessions.has('large')).toBe(true)
    old.sessions.set('odd', '{"cookie":{"originalMaxAge":null},"__proto__":{"admin":true}}')
    expect(Object.keys(await store.get('odd')).sort()).toEqual(['cookie', '~loaded'])
  })

  test('gets its user', async () => {
    const { old, store } = setUp({ userOf: (session) => session.user })
    old.put('id', { cookie: cookie(), user: 'ada' })
    await store.get('id')
    expect(await store.listByUser('ada')).toMatchObject([{ session: { user: 'ada' } }])
  })

  test('stays there with keepOld', async () => {
    const { old, store } = setUp({ keepOld: true })
    old.put('id', { cookie: cookie(), user: 'ada' })
    expect(await store.get('id')).toMatchObject({ user: 'ada' })
    expect(old.sessions.has('id')).toBe(true)
  })
})

describe('races', () => {
  test('two requests that adopt at once get the same session, in one process and in two', async () => {
    const { old, store, other } = setUp()
    old.put('id', { cookie: cookie(), user: 'ada' })
    const sessions = await Promise.all([store.get('id'), store.get('id'), other.get('id')])
    for (const session of sessions) expect(session).toMatchObject({ user: 'ada' })
    await store.set('id', { ...sessions[0], a: 1 })
    await other.set('id', { ...sessions[2], b: 1 })
    expect(await store.get('id')).toMatchObject({ user: 'ada', a: 1, b: 1 })
    expect(await store.count()).toBe(1)
  })

  test('a log-out ends the session in both stores', async () => {
    const { old, store } = setUp()
    old.put('id', { cookie: cookie(), user: 'ada' })
    await store.destroy('id')
    expect(await store.get('id')).toBeNull()
    expect(old.sessions.size).toBe(0)
  })

  test('a log-out in another process during an adoption holds, wherever they meet', async () => {
    for (let step = 0; step < 4; step += 1) {
      const { old, store, other } = setUp()
      old.put('id', { cookie: cookie(), user: 'ada' })
      let steps = 0
      let loggedOut: Promise<void> | undefined
      old.before = async () => {
        if (steps++ === step && loggedOut === undefined) {
          loggedOut = other.destroy('id')
          await loggedOut
        }
      }
      await store.get('id')
      old.before = () => {}
      await (loggedOut ?? other.destroy('id'))
      expect(await store.get('id'), `log-out before answer ${step}`).toBeNull()
      expect(await store.count()).toBe(0)
      expect(old.sessions.size).toBe(0)
    }
  })

  test('a log-out in the old store alone, by a process that still uses only that, is seen by an adoption under way', async () => {
    const { old, store } = setUp()
    old.put('id', { cookie: cookie(), user: 'ada' })
    old.before = (what, id) => {
      if (what === 'get') old.sessions.delete(id)
    }
    expect(await store.get('id')).toBeNull()
    expect(await store.count()).toBe(0)
  })
})

describe('an old store that is down', () => {
  test('is a 503 for sessions that ours does not have, and only for those', async () => {
    const { old, store } = setUp()
    await store.set('ours', { a: 1 })
    old.before = () => {
      throw new Error("ECONNREFUSED while asking for 'the-secret-id'")
    }
    expect(await store.get('ours')).toMatchObject({ a: 1 })
    await store.destroy('ours')
    await expect(store.get('the-secret-id')).rejects.toMatchObject({
      ...unavailable,
      cause: { message: expect.not.stringContaining('the-secret-id') },
    })
    await expect(store.destroy('theirs')).rejects.toMatchObject(unavailable)
  })

  test('that does not answer costs one deadline', async () => {
    const store = new MemoryStore({ adopt: { get: () => {}, destroy: () => {} }, timeout: 100 })
    await expect(store.get('id')).rejects.toMatchObject(unavailable)
    await store.set('ours', { a: 1 })
    await store.destroy('ours')
    expect(await store.count()).toBe(0)
  })
})

test('through @fastify/session, its own MemoryStore is moved in from with nobody logged out', async () => {
  const old = new fastifySession.MemoryStore() as unknown as OldStore & { close(): void }
  old.close = () => {}
  const before = buildApp(old as never)
  onTestFinished(() => before.close())
  await before.listen({ host: '127.0.0.1', port: 0 })
  const browsers = Array.from({ length: 10 }, () => new Browser(before))
  for (const [n, browser] of browsers.entries()) await browser.post(`/login/user${n}`)
  const after = buildApp(new MemoryStore({ adopt: old }))
  onTestFinished(() => after.close())
  await after.listen({ host: '127.0.0.1', port: 0 })
  for (const [n, { cookie }] of browsers.entries()) {
    const browser = new Browser(after, cookie)
    expect(await browser.get('/me')).toEqual({ user: `user${n}` })
    await browser.post('/logout')
    expect(await new Browser(after, cookie).get('/me')).toEqual({})
    expect(await new Browser(before, cookie).get('/me')).toEqual({})
  }
})

test('what cannot be is refused when the store is made', () => {
  expect(() => new MemoryStore({ adopt: {} as never })).toThrow(/adopt must be a store/)
  expect(() => new MemoryStore({ keepOld: true })).toThrow(/keepOld needs adopt/)
  expect(() => new SessionStore(memoryWith({ insert: undefined as never }), { adopt: new PlainStore() })).toThrow(
    expect.objectContaining({ code: 'SESSION_UNSUPPORTED' }),
  )
})
