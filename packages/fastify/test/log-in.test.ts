import { Gate } from '@session-stores/testing'
import Fastify, { type FastifyInstance } from 'fastify'
import { expect, test } from 'vitest'
import { logIn, logOut, renewId } from '../src/index.ts'
import { describeOnStores, type MakeStore, Site } from './setup.ts'

describeOnStores('logIn and logOut', (makeStore) => {
  test('a log-in gives a new id and just what it was told to keep in mind', async () => {
    await using site = await open(makeStore)
    const browser = site.browser()
    await browser.post('/cart')
    const before = await browser.copy()
    await browser.post('/log-in')
    expect(await browser.cookie()).not.toBe(await before.cookie())
    expect((await browser.get('/session')).body).toBe('{"user":"ada"}')
    expect((await before.get('/session')).body).toBe('{}')
  })

  test('a log-out ends the session, for a copy of the cookie too, and takes the cookie back', async () => {
    await using site = await open(makeStore)
    const browser = site.browser()
    await browser.post('/log-in')
    const stolen = await browser.copy()
    const answer = await browser.post('/log-out')
    expect([answer.status, await browser.cookie()]).toEqual([200, ''])
    expect((await stolen.get('/session')).body).toBe('{}')
  })

  test('behind a proxy for https the cookie is taken back as well', async () => {
    await using site = await open(makeStore)
    const browser = site.browser('https://site.example')
    await browser.post('/log-in')
    expect(await browser.cookie()).toMatch(/^__Host-/)
    await browser.post('/log-out')
    expect(await browser.cookie()).toBe('')
  })

  test('a cookie for a whole domain is taken back as well', async () => {
    await using site = await open(makeStore, undefined, { domain: 'site.example' })
    const browser = site.browser('https://www.site.example')
    await browser.post('/log-in')
    expect(await browser.cookie()).toMatch(/^__Secure-/)
    await browser.post('/log-out')
    expect(await browser.cookie()).toBe('')
  })

  test('a log-out of somebody who has no session is fine, also twice', async () => {
    await using site = await open(makeStore)
    const browser = site.browser()
    for (let n = 0; n < 2; n += 1) expect((await browser.post('/log-out')).status).toBe(200)
    expect((await browser.post('/log-out-twice')).status).toBe(200)
  })

  test('what is to be kept comes along', async () => {
    await using site = await open(makeStore)
    const browser = site.browser()
    await browser.post('/cart')
    await browser.post('/log-in-with-cart')
    expect((await browser.get('/session')).body).toBe('{"cart":["tea"],"user":"ada"}')
  })

  test('also what this very request put there', async () => {
    await using site = await open(makeStore)
    const browser = site.browser()
    await browser.post('/cart-and-log-in')
    expect((await browser.get('/session')).body).toBe('{"cart":["tea"],"user":"ada"}')
  })

  test('nothing is kept of a session that was ended meanwhile', async () => {
    const gate = new Gate()
    await using site = await open(makeStore, gate)
    const browser = site.browser()
    await browser.post('/log-in')
    const slow = await browser.copy()
    const renewing = slow.post('/slow-renew')
    await gate.entered(1)
    await browser.post('/log-out')
    gate.open()
    await renewing
    expect((await slow.get('/session')).body).toBe('{"visits":1}')
  })

  test('a session that is not ended keeps its user when it is renewed', async () => {
    const gate = new Gate()
    gate.open()
    await using site = await open(makeStore, gate)
    const browser = site.browser()
    await browser.post('/log-in')
    await browser.post('/slow-renew')
    expect((await browser.get('/session')).body).toBe('{"user":"ada","visits":1}')
  })

  test('a new id for the same session: it holds what it held, and the old id is dead', async () => {
    const gate = new Gate()
    gate.open()
    await using site = await open(makeStore, gate)
    const browser = site.browser()
    await browser.post('/cart')
    await browser.post('/log-in-with-cart')
    const before = await browser.copy()
    await browser.post('/slow-new-id')
    expect(await browser.cookie()).not.toBe(await before.cookie())
    expect((await browser.get('/session')).body).toBe('{"cart":["tea"],"user":"ada"}')
    expect((await before.get('/session')).body).toBe('{}')
  })

  test('there is no new id for a session that was ended meanwhile', async () => {
    const gate = new Gate()
    await using site = await open(makeStore, gate)
    const browser = site.browser()
    await browser.post('/log-in')
    const slow = await browser.copy()
    const renewing = slow.post('/slow-new-id')
    await gate.entered(1)
    await browser.post('/log-out')
    gate.open()
    await renewing
    expect((await slow.get('/session')).body).toBe('{}')
  })

  test('… nor for one that is ended while its new id is made', async () => {
    const store = makeStore()
    await using site = await Site.open({ store }, (app) => {
      routes(app, new Gate())
      app.post('/new-id', async (request) => {
        const { get } = store
        store.get = (id, callback) => {
          store.get = get
          // Right after it was looked whether the session is there, another request logs out
          store.get(id, (...found) => store.destroy(id, () => callback(...found)))
        }
        await renewId(request)
        return 'ok'
      })
    })
    const browser = site.browser()
    await browser.post('/log-in')
    await browser.post('/new-id')
    expect((await browser.get('/session')).body).toBe('{}')
  })

  test('an old session that is spread into the new one does not bring its id along', async () => {
    await using site = await open(makeStore)
    const browser = site.browser()
    await browser.post('/cart')
    const before = await browser.copy()
    await browser.post('/log-in-by-spreading')
    expect(await browser.cookie()).not.toBe(await before.cookie())
    expect((await browser.get('/session')).body).toBe('{"cart":["tea"],"user":"ada"}')
    expect((await before.get('/session')).body).toBe('{}')
  })

  test('a log-in right after a log-out in one request says that there is no session', async () => {
    await using site = await open(makeStore)
    const answer = await site.browser().post('/log-out-and-in')
    expect(answer.status).toBe(500)
    expect(answer.body).toContain('this request has no session')
  })
})

test('without the plugin they say what is missing', async () => {
  await using app = Fastify()
  app.get('/in', async (request) => logIn(request, {}))
  app.get('/out', async (request, reply) => logOut(request, reply))
  for (const path of ['/in', '/out']) {
    expect((await app.inject(path)).body).toContain('register @session-stores/fastify before this route')
  }
})

function open(makeStore: MakeStore, gate = new Gate(), cookie = {}): Promise<Site> {
  return Site.open({ store: makeStore(), cookie }, (app) => routes(app, gate), { trustProxy: 'loopback' })
}

function routes(app: FastifyInstance, gate: Gate): void {
  app.post('/cart', async ({ session }) => {
    session.cart = ['tea']
    return 'ok'
  })
  app.post('/log-in', async (request) => {
    await logIn(request, { user: 'ada' })
    return 'ok'
  })
  app.post('/log-in-with-cart', async (request) => {
    await logIn(request, { user: 'ada' }, { keep: ['cart', 'visits'] })
    return 'ok'
  })
  app.post('/cart-and-log-in', async (request) => {
    request.session.cart = ['tea']
    await logIn(request, { user: 'ada' }, { keep: ['cart'] })
    return 'ok'
  })
  app.post('/log-in-by-spreading', async (request) => {
    await logIn(request, { ...request.session, user: 'ada' })
    return 'ok'
  })
  app.post('/slow-renew', async (request) => {
    await gate.pass()
    await logIn(request, { visits: 1 }, { keep: ['user'] })
    return 'ok'
  })
  app.post('/slow-new-id', async (request) => {
    await gate.pass()
    await renewId(request)
    return 'ok'
  })
  app.post('/log-out', async (request, reply) => {
    await logOut(request, reply)
    return 'ok'
  })
  app.post('/log-out-twice', async (request, reply) => {
    await logOut(request, reply)
    await logOut(request, reply)
    return 'ok'
  })
  app.post('/log-out-and-in', async (request, reply) => {
    await logOut(request, reply)
    await logIn(request, { user: 'ada' })
    return 'ok'
  })
  app.get('/session', async ({ session }) => {
    const { cart, user, visits } = session
    return { cart, user, visits }
  })
}
