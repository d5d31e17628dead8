import fastifySession from '@fastify/session'
import { MemoryStore } from '@session-stores/core'
import { MemcachedStore } from '@session-stores/memcached'
import { Gate } from '@session-stores/testing'
import Fastify, { type FastifyInstance } from 'fastify'
import { Client } from 'memjs'
import { describe, expect, test } from 'vitest'
import { type Device, devicesOf, logIn, logOutDevice, logOutEverywhere, logOutOthers } from '../src/index.ts'
import { type Browser, describeOnStores, type MakeStore, Site, type SiteOptions } from './setup.ts'

type Listed = Pick<Device, 'handle' | 'isCurrent' | 'session'>

describeOnStores('the devices of a user', (makeStore) => {
  test('are listed with what their sessions hold, and which is this one', async () => {
    await using site = await open(makeStore)
    const begun = Date.now()
    const [phone, laptop] = [await logInAs(site, 'ada', 'phone'), await logInAs(site, 'ada', 'laptop')]
    await logInAs(site, 'bob', 'tablet')
    for (const [browser, name] of [
      [phone, 'phone'],
      [laptop, 'laptop'],
    ] as const) {
      const list = await devices(browser)
      expect(list.map(({ session }) => session.cart).sort()).toEqual([['laptop'], ['phone']])
      expect(list.filter(({ isCurrent }) => isCurrent).map(({ session }) => session)).toMatchObject([{ cart: [name] }])
    }
    const [one] = JSON.parse((await phone.get('/devices')).body) as Device[]
    for (const time of [one?.createdAt, one?.lastActiveAt]) {
      expect(time).toBeGreaterThanOrEqual(begun)
      expect(time).toBeLessThanOrEqual(Date.now())
    }
    expect(one?.expiresAt).toBeGreaterThan(Date.now())
    expect(JSON.stringify(one)).not.toContain('~loaded')
  })

  test('end one by one, and the next request there is nobody’s', async () => {
    await using site = await open(makeStore)
    const [phone, laptop] = [await logInAs(site, 'ada', 'phone'), await logInAs(site, 'ada', 'laptop')]
    const other = (await devices(phone)).find(({ isCurrent }) => !isCurrent)
    expect((await phone.post('/end', { handle: other?.handle ?? '' })).body).toBe('true')
    expect((await laptop.get('/user')).body).toBe('nobody')
    expect((await phone.get('/user')).body).toBe('ada')
    expect(await devices(phone)).toHaveLength(1)
    expect((await phone.post('/end', { handle: other?.handle ?? '' })).body).toBe('false')
  })

  test('end only if they are the user’s own: what a form sends ends nobody else’s session', async () => {
    await using site = await open(makeStore)
    const [ada, bob] = [await logInAs(site, 'ada', 'phone'), await logInAs(site, 'bob', 'tablet')]
    const [bobs] = await devices(bob)
    for (const handle of [bobs?.handle ?? '', 'no handle', '']) {
      expect((await ada.post('/end', { handle })).body).toBe('false')
      expect((await site.browser().post('/end', { handle })).body).toBe('false')
    }
    expect((await bob.get('/user')).body).toBe('bob')
  })

  test('of nobody there are none, and nothing ends', async () => {
    await using site = await open(makeStore)
    const ada = await logInAs(site, 'ada', 'phone')
    const visitor = site.browser()
    await visitor.post('/cart', { item: 'tea' })
    expect((await visitor.get('/devices')).body).toBe('[]')
    for (const path of ['/log-out-others', '/log-out-everywhere']) expect((await visitor.post(path)).body).toBe('0')
    expect((await ada.get('/user')).body).toBe('ada')
  })
})

describeOnStores('logging out elsewhere', (makeStore) => {
  test('ends all others of the user, nobody else’s, and not this one', async () => {
    await using site = await open(makeStore)
    const [here, ...others] = await Promise.all(['a', 'b', 'c'].map((name) => logInAs(site, 'ada', name)))
    const bob = await logInAs(site, 'bob', 'tablet')
    expect((await (here as Browser).post('/log-out-others')).body).toBe('2')
    for (const browser of others) expect((await browser.get('/user')).body).toBe('nobody')
    expect((await (here as Browser).get('/user')).body).toBe('ada')
    expect((await bob.get('/user')).body).toBe('bob')
  })

  test('holds for a request that was under way, and saves later', async () => {
    const gate = new Gate()
    await using site = await open(makeStore, gate)
    const [here, there] = [await logInAs(site, 'ada', 'phone'), await logInAs(site, 'ada', 'laptop')]
    const slow = there.post('/slow-visit')
    await gate.entered(1)
    await here.post('/log-out-others')
    gate.open()
    expect((await slow).status).toBe(200)
    expect((await there.get('/user')).body).toBe('nobody')
    expect(await devices(here)).toHaveLength(1)
  })

  test('everywhere ends this one too, takes the cookie back, and is fine twice', async () => {
    await using site = await open(makeStore)
    const [here, there] = [await logInAs(site, 'ada', 'phone'), await logInAs(site, 'ada', 'laptop')]
    const stolen = await here.copy()
    expect((await here.post('/log-out-everywhere-twice')).body).toBe('[2,0]')
    expect(await here.cookie()).toBe('')
    for (const browser of [stolen, there, here]) expect((await browser.get('/user')).body).toBe('nobody')
  })
})

describe('where it cannot be', () => {
  test('with a store that does not know users: the error says what to use', async () => {
    await using site = await openSite({ store: new fastifySession.MemoryStore() })
    await expectRefused(site, 'the store does not know sessions by their user')
  })

  test('without userOf: the error names it', async () => {
    await using site = await openSite({ store: new MemoryStore() })
    await expectRefused(site, 'the option userOf')
  })

  test('on Memcached, which cannot list: refused before anything is sent', async () => {
    // Nothing listens there: whatever were sent would be a 503.
    const store = new MemcachedStore({ client: Client.create('127.0.0.1:1'), userOf })
    await using site = await openSite({ store })
    const browser = site.browser()
    for (const path of ['/end', '/log-out-others', '/log-out-everywhere']) {
      const { status, body } = await browser.post(path, { handle: 'any' })
      expect([status, JSON.parse(body).code], path).toEqual([501, 'SESSION_UNSUPPORTED'])
    }
  })

  test('when the store fails: its error, and nothing half-changed is saved', async () => {
    const store = new MemoryStore({ userOf })
    await using site = await openSite({ store })
    const browser = await logInAs(site, 'ada', 'phone')
    const { destroyByUser } = store
    store.destroyByUser = async () => {
      throw Object.assign(new Error('down'), { statusCode: 503 })
    }
    expect((await browser.post('/visit-and-log-out-others')).status).toBe(503)
    expect(await devices(browser)).toMatchObject([{ session: { user: 'ada' } }])
    expect((await devices(browser))[0]?.session).not.toHaveProperty('visits')
    store.destroyByUser = destroyByUser
    expect((await browser.post('/visit-and-log-out-others')).body).toBe('0')
    expect((await devices(browser))[0]?.session.visits).toBe(1)
  })

  test('without the plugin', async () => {
    await using app = Fastify()
    app.get('/', async (request) => devicesOf(request))
    expect((await app.inject('/')).body).toContain('register @session-stores/fastify before this route')
  })
})

function userOf({ user }: { user?: string }): string | undefined {
  return user
}

function open(makeStore: MakeStore, gate = new Gate()): Promise<Site> {
  return openSite({ store: makeStore({ userOf }) }, gate)
}

function openSite(options: SiteOptions, gate = new Gate()): Promise<Site> {
  return Site.open(options, (app) => routes(app, gate))
}

async function expectRefused(site: Site, message: string): Promise<void> {
  const browser = await logInAs(site, 'ada', 'phone')
  for (const path of ['/end', '/log-out-others', '/log-out-everywhere']) {
    const { status, body } = await browser.post(path, { handle: 'any' })
    expect(status, path).toBe(500)
    expect(body).toContain(message)
  }
  expect((await browser.get('/devices')).body).toContain(message)
  expect((await browser.get('/user')).body).toBe('ada')
}

async function logInAs(site: Site, user: string, name: string): Promise<Browser> {
  const browser = site.browser()
  expect((await browser.post('/log-in', { user, name })).body).toBe('ok')
  return browser
}

async function devices(browser: Browser): Promise<Listed[]> {
  return JSON.parse((await browser.get('/devices')).body)
}

async function routes(app: FastifyInstance, gate: Gate): Promise<void> {
  await app.register(import('@fastify/formbody'))
  app.post<{ Body: { user: string; name: string } }>('/log-in', async (request) => {
    await logIn(request, { user: request.body.user, cart: [request.body.name] })
    return 'ok'
  })
  app.post<{ Body: { item: string } }>('/cart', async ({ session, body }) => {
    session.cart = [body.item]
    return 'ok'
  })
  app.post('/slow-visit', async ({ session }) => {
    await gate.pass()
    session.visits = (session.visits ?? 0) + 1
    return 'ok'
  })
  app.post('/visit-and-log-out-others', async (request) => {
    request.session.visits = 1
    return logOutOthers(request)
  })
  app.get('/user', async ({ session }) => session.user ?? 'nobody')
  app.get('/devices', async (request) => devicesOf(request))
  app.post<{ Body: { handle: string } }>('/end', async (request) => logOutDevice(request, request.body.handle))
  app.post('/log-out-others', async (request) => logOutOthers(request))
  app.post('/log-out-everywhere', async (request, reply) => logOutEverywhere(request, reply))
  app.post('/log-out-everywhere-twice', async (request, reply) => [
    await logOutEverywhere(request, reply),
    await logOutEverywhere(request, reply),
  ])
}
