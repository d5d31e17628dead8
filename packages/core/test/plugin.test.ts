import { Browser, buildApp } from '@session-stores/testing'
import type { FastifyInstance } from 'fastify'
import { afterEach, describe, expect, test } from 'vitest'
import { MemoryStore, type StoreOptions } from '../src/index.ts'

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
