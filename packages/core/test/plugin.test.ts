import { Browser, buildApp } from '@session-stores/testing'
import type { FastifyInstance, Session } from 'fastify'
import { afterEach, describe, expect, test } from 'vitest'
import { MemoryStore, SessionStore, type StoreOptions } from '../src/index.ts'
import { memoryWith } from './backends.ts'

let apps: FastifyInstance[] = []
afterEach(async () => {
  for (const app of apps) await app.close()
  apps = []
})

async function setUp(options: StoreOptions = {}) {
  const store = new MemoryStore(options)
  const app = buildApp(store)
  apps.push(app)
  app.post('/reload-after-log-out', async (request) => {
    await store.destroy(request.session.sessionId) // as another request would
    await request.session.reload()
    request.session.set('a' as never, 1 as never)
    return 'ok'
  })
  app.post('/empty', async (request) => {
    for (const key of Object.keys(request.session)) {
      if (key !== 'cookie') delete (request.session as never as Record<string, unknown>)[key]
    }
    return 'ok'
  })
  app.post('/empty-after-log-out', async (request) => {
    await store.destroy(request.session.sessionId)
    for (const key of Object.keys(request.session)) {
      if (key !== 'cookie') delete (request.session as never as Record<string, unknown>)[key]
    }
    request.session.set('a' as never, 1 as never)
    return 'ok'
  })
  app.post('/carry-over-after-log-out', async (request) => {
    await store.destroy(request.session.sessionId)
    await request.session.regenerate(['user' as never])
    return 'ok'
  })
  app.post('/carry-over-twice-after-log-out', async (request) => {
    await store.destroy(request.session.sessionId)
    await request.session.regenerate(['user' as never])
    await request.session.regenerate(['user' as never])
    return 'ok'
  })
  app.post('/log-in-after-log-out', async (request) => {
    await store.destroy(request.session.sessionId)
    await request.session.regenerate()
    request.session.set('user' as never, 'eve' as never)
    return 'ok'
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const browser = new Browser(app)
  return { store, browser, again: () => new Browser(app, browser.cookie) }
}

describe('a session object whose snapshot is gone is not a new session', () => {
  test('reload() after a log-out brings nothing back', async () => {
    const { store, browser } = await setUp()
    await browser.post('/login/ada')
    await browser.post('/reload-after-log-out')
    expect(await store.count()).toBe(0)
    expect(await browser.get('/me')).toEqual({})
  })

  test('deleting every key but the cookie after a log-out brings nothing back', async () => {
    const { store, browser } = await setUp()
    await browser.post('/login/ada')
    await browser.post('/empty-after-log-out')
    expect(await store.count()).toBe(0)
  })

  test('deleting every key but the cookie empties the session, and it keeps its beginning', async () => {
    const clock = { now: Date.now() }
    const { store, browser } = await setUp({ now: () => clock.now })
    await browser.post('/login/ada')
    const begun = clock.now
    clock.now += 1000
    await browser.post('/empty')
    expect(await browser.get('/me')).toEqual({})
    const { value } = await store.scan().next()
    expect(value?.createdAt).toBe(begun)
  })

  test('plain data that the application saves under an id it asked for is a new session', async () => {
    const store = new MemoryStore()
    expect(await store.get('id')).toBeNull()
    await store.set('id', { a: 1 })
    expect(await store.get('id')).toMatchObject({ a: 1 })
  })
})

describe('regenerate() after another request has logged out', () => {
  test('carries no data over into a live session', async () => {
    const { store, browser } = await setUp()
    await browser.post('/login/ada')
    await browser.post('/carry-over-after-log-out')
    expect(await store.count()).toBe(0)
    expect(await browser.get('/me')).toEqual({})
  })

  test('… nor if it is called twice', async () => {
    const { store, browser } = await setUp()
    await browser.post('/login/ada')
    await browser.post('/carry-over-twice-after-log-out')
    expect(await store.count()).toBe(0)
    expect(await browser.get('/me')).toEqual({})
  })

  test('… and drops nothing of the requests whose answers come at the same turn', async () => {
    let reads = 0
    const backend = memoryWith((sound) => ({
      async read(...given) {
        reads += 1
        for (let n = 0; n < reads; n += 1) await undefined // one after the other, before anything else happens
        return sound.read(...given)
      },
      remove: async (...given) => sound.remove(...given),
    }))
    const store = new SessionStore(backend)
    const others = Array.from({ length: 20 }, (_, n) => `other${n}`)
    for (const id of ['ended', ...others]) await store.set(id, { a: 1 })
    await store.get('ended')
    await new SessionStore(backend).destroy('ended') // in another process
    reads = 0
    const change = (id: string) =>
      new Promise((resolve) => {
        store.get(id, (_, session) => {
          store.set(id, { ...session, regenerate() {}, reload() {}, a: 2 } as Session, resolve)
        })
      })
    await Promise.all([new Promise((resolve) => store.destroy('ended', resolve)), ...others.map(change)])
    for (const id of others) expect(await store.get(id)).toMatchObject({ a: 2 })
  })

  test('… but a log-in that begins with an empty session works', async () => {
    const { browser } = await setUp()
    await browser.post('/login/ada')
    await browser.post('/log-in-after-log-out')
    expect(await browser.get('/me')).toEqual({ user: 'eve' })
  })
})

describe('processes whose clocks differ', () => {
  const HOUR = 3_600_000

  /** What a request does that only reads, in a process with this clock. */
  async function read(store: SessionStore, now: () => number, maxAge: number) {
    const session = { ...(await store.get('id')) }
    session.cookie = { ...session.cookie, expires: new Date(now() + maxAge) } // as the plugin does at load
    await store.set('id', session)
  }

  test('one whose clock lags shortens no session and costs no writes by reading', async () => {
    for (const [lag, maxAge] of [
      [240_000, 180_000],
      [90_000, HOUR],
    ] as const) {
      const clock = { now: Date.now() }
      const right = () => clock.now
      const late = () => clock.now - lag
      const store = new MemoryStore({ now: right, pruneInterval: false })
      const lagging = new SessionStore(store.backend, { now: late, pruneInterval: false })
      await store.set('id', { cookie: { expires: new Date(clock.now + maxAge), originalMaxAge: maxAge } })
      const stored = async () => (await store.scan().next()).value?.expiresAt
      const before = await stored()
      for (let n = 0; n < 3; n += 1) {
        await read(lagging, late, maxAge)
        expect(await stored()).toBe(before)
        await read(store, right, maxAge)
        expect(await stored()).toBe(before)
      }
    }
  })
})

describe('an absoluteTimeout that is switched on for stored sessions', () => {
  test('holds for count and prune, too', async () => {
    const HOUR = 3_600_000
    const clock = { now: Date.now() }
    const now = () => clock.now
    const lenient = new MemoryStore({ now, pruneInterval: false, ttl: 365 * 24 * HOUR })
    await lenient.set('old', {})
    clock.now += 8 * HOUR
    await lenient.set('young', {})
    const strict = new SessionStore(lenient.backend, { now, pruneInterval: false, absoluteTimeout: 8 * HOUR })
    expect(await strict.count()).toBe(1)
    expect(await strict.prune(), 'not yet over by the margin').toBe(0)
    clock.now += 2 * HOUR
    expect(await strict.prune()).toBe(1)
    expect(await lenient.count()).toBe(1)
  })

  test('on a server that collects by itself, a session that a get finds over by it is removed', async () => {
    const HOUR = 3_600_000
    const clock = { now: Date.now() }
    const now = () => clock.now
    const backend = memoryWith({ prune: undefined as never })
    const lenient = new SessionStore(backend, { now, ttl: 365 * 24 * HOUR })
    await lenient.set('id', {})
    clock.now += 11 * HOUR
    const strict = new SessionStore(backend, { now, absoluteTimeout: 8 * HOUR })
    expect(await strict.get('id')).toBeNull()
    expect(await lenient.count()).toBe(0)
  })
})

describe('an expiry that is no date', () => {
  test('names cookie.maxAge and what it holds, when that is the cause', async () => {
    for (const maxAge of ['1800000', Number.POSITIVE_INFINITY]) {
      const cookie = { expires: new Date(Date.now() + (maxAge as number)), originalMaxAge: maxAge }
      await expect(new MemoryStore().set('id', { cookie })).rejects.toMatchObject({
        code: 'SESSION_EXPIRY_INVALID',
        message: expect.stringMatching(/cookie\.maxAge.*a finite number of ms; got ('1800000'|Infinity)$/),
      })
    }
  })
})

test('a clock that is faked after the store was made holds', async () => {
  const store = new MemoryStore({ pruneInterval: false })
  const real = Date.now
  try {
    await store.set('id', { cookie: { expires: new Date(real() + 60_000), originalMaxAge: 60_000 } })
    Date.now = () => real() + 60_000
    expect(await store.get('id')).toBeNull()
  } finally {
    Date.now = real
  }
})

test('clear calls back', async () => {
  const store = new MemoryStore()
  await store.set('id', {})
  expect(await new Promise((resolve) => store.clear(resolve))).toBeNull()
  expect(await store.count()).toBe(0)
})
