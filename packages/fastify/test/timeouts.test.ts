import fastifySession from '@fastify/session'
import type { FastifyInstance } from 'fastify'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { logIn, renewId } from '../src/index.ts'
import { describeOnStores, Site, type SiteOptions } from './setup.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

// The clock that stores and the plugin go by. Timers are left alone, for servers need them.
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }))
afterEach(() => void vi.useRealTimers())

function pass(ms: number): void {
  vi.setSystemTime(Date.now() + ms)
}

describeOnStores('a session', (makeStore) => {
  test('ends 30 minutes after its last request, and goes on while it is used', async () => {
    await using site = await open({ store: makeStore() })
    const browser = site.browser()
    await browser.post('/begin')
    const cookie = await browser.cookie()
    for (let n = 0; n < 4; n += 1) {
      pass(29 * MINUTE)
      expect(await userOf(site, cookie)).toBe('ada')
    }
    pass(30 * MINUTE)
    expect(await userOf(site, cookie)).toBe('')
  })

  test('ends 8 hours after it began, however often it got a new id, and keeps the age of its cookie', async () => {
    await using site = await open({ store: makeStore() })
    const browser = site.browser()
    await browser.post('/begin-for-two-hours')
    for (let n = 0; n < 7; n += 1) {
      pass(HOUR)
      const old = await browser.cookie()
      await browser.post('/new-id')
      expect(await browser.cookie()).not.toBe(old)
      expect(await userOf(site, await browser.cookie())).toBe('ada')
    }
    pass(HOUR)
    expect(await userOf(site, await browser.cookie())).toBe('')
  })

  test('ends 8 hours after it began, however busy it is', async () => {
    await using site = await open({ store: makeStore() })
    const browser = site.browser()
    await browser.post('/begin')
    const cookie = await browser.cookie()
    for (let n = 0; n < 19; n += 1) {
      pass(25 * MINUTE)
      expect(await userOf(site, cookie)).toBe('ada')
    }
    pass(5 * MINUTE - 1)
    expect(await userOf(site, cookie)).toBe('ada')
    pass(1)
    expect(await userOf(site, cookie)).toBe('')
  })

  test('says in its cookie when it ends', async () => {
    await using site = await open({ store: makeStore(), idleTimeout: 20 * MINUTE, absoluteTimeout: 30 * MINUTE })
    vi.setSystemTime(new Date('2030-01-01T12:00:00Z'))
    const browser = site.browser()
    expect((await browser.post('/begin')).cookies[0]).toContain('Expires=Tue, 01 Jan 2030 12:20:00 GMT')
    pass(15 * MINUTE)
    expect((await browser.get('/user')).cookies[0]).toContain('Expires=Tue, 01 Jan 2030 12:30:00 GMT')
  })

  test('is not made younger by a handler that empties it', async () => {
    await using site = await open({ store: makeStore(), absoluteTimeout: HOUR })
    const browser = site.browser()
    await browser.post('/begin')
    const cookie = await browser.cookie()
    for (let n = 0; n < 2; n += 1) {
      pass(25 * MINUTE)
      await site.browser().post('/empty', {}, { cookie })
      expect(await userOf(site, cookie)).toBe('ada')
    }
    pass(10 * MINUTE)
    expect(await userOf(site, cookie)).toBe('')
  })

  test.each(['/log-in', '/log-in-by-spreading'])('begins anew at %s', async (path) => {
    await using site = await open({ store: makeStore(), absoluteTimeout: HOUR })
    const browser = site.browser()
    await browser.post('/begin')
    pass(25 * MINUTE)
    await browser.get('/user')
    pass(25 * MINUTE)
    await browser.post(path)
    const cookie = await browser.cookie()
    for (let n = 0; n < 2; n += 1) {
      pass(25 * MINUTE)
      expect(await userOf(site, cookie)).toBe('grace')
    }
    pass(10 * MINUTE)
    expect(await userOf(site, cookie)).toBe('')
  })

  test('ends in time too where a handler made its cookie one of the browser session', async () => {
    await using site = await open({ store: makeStore() })
    const browser = site.browser()
    await browser.post('/begin-without-expiry')
    const cookie = await browser.cookie()
    pass(7 * HOUR)
    expect(await userOf(site, cookie)).toBe('ada')
    await site.browser().post('/without-expiry', {}, { cookie })
    pass(HOUR)
    expect(await userOf(site, cookie)).toBe('')
  })

  test('from before there was a limit gets one', async () => {
    const store = makeStore()
    await using before = await open({ store, absoluteTimeout: false, closeStore: false })
    const browser = before.browser()
    await browser.post('/begin')
    const cookie = await browser.cookie()
    pass(20 * MINUTE)
    await using site = await open({ store, absoluteTimeout: HOUR })
    for (let n = 0; n < 3; n += 1) {
      expect(await userOf(site, cookie)).toBe('ada')
      pass(20 * MINUTE)
    }
    expect(await userOf(site, cookie)).toBe('')
  })

  test('lives as long as it is used where there is no limit', async () => {
    await using site = await open({ store: makeStore(), absoluteTimeout: false })
    const browser = site.browser()
    await browser.post('/begin')
    const cookie = await browser.cookie()
    for (let n = 0; n < 50; n += 1) {
      pass(29 * MINUTE)
      expect(await userOf(site, cookie)).toBe('ada')
    }
  })

  test('that is only read is not written again for its limit', async () => {
    const store = makeStore()
    const written: string[] = []
    const counting = {
      get: store.get.bind(store),
      destroy: store.destroy.bind(store),
      set: ((id, session, callback) => {
        written.push(JSON.stringify({ ...session, cookie: undefined }))
        store.set(id, session, callback)
      }) as typeof store.set,
    }
    await using site = await open({ store: counting })
    const browser = site.browser()
    await browser.post('/begin')
    await browser.get('/user')
    await browser.get('/user')
    expect(new Set(written).size).toBe(1)
    await store.close()
  })
})

test('both timeouts hold on a store that knows neither', async () => {
  const MemoryStore = fastifySession.MemoryStore as unknown as new () => SiteOptions['store']
  await using site = await open({ store: new MemoryStore() })
  const browser = site.browser()
  await browser.post('/begin')
  const idle = await browser.cookie()
  pass(30 * MINUTE)
  expect(await userOf(site, idle)).toBe('')

  await browser.post('/begin')
  const busy = await browser.cookie()
  for (let n = 0; n < 19; n += 1) {
    pass(25 * MINUTE)
    expect(await userOf(site, busy)).toBe('ada')
  }
  pass(5 * MINUTE)
  expect(await userOf(site, busy)).toBe('')
})

async function userOf(site: Site, cookie: string): Promise<string> {
  return (await site.browser().get('/user', { cookie })).body
}

function open(options: SiteOptions): Promise<Site> {
  return Site.open(options, routes)
}

function routes(app: FastifyInstance): void {
  app.post('/begin', async ({ session }) => {
    session.user = 'ada'
    return 'ok'
  })
  app.post('/begin-for-two-hours', async ({ session }) => {
    session.user = 'ada'
    session.cookie.maxAge = 2 * HOUR
    return 'ok'
  })
  app.post('/new-id', async (request) => {
    await renewId(request)
    return 'ok'
  })
  app.post('/begin-without-expiry', async ({ session }) => {
    session.user = 'ada'
    session.cookie.expires = null
    return 'ok'
  })
  app.post('/without-expiry', async ({ session }) => {
    session.cookie.expires = null
    return 'ok'
  })
  app.post('/empty', async ({ session }) => {
    for (const key of Object.keys(session)) if (key !== 'cookie') delete (session as never)[key]
    session.user = 'ada'
    return 'ok'
  })
  app.post('/log-in', async (request) => {
    await logIn(request, { user: 'grace' })
    return 'ok'
  })
  app.post('/log-in-by-spreading', async (request) => {
    await logIn(request, { ...request.session, user: 'grace' })
    return 'ok'
  })
  app.get('/user', async ({ session }) => session.user ?? '')
}
