// What README.md says under Limits of the plugin, and that the lines there help.
import fastifyCookie from '@fastify/cookie'
import fastifySession, { type CookieOptions } from '@fastify/session'
import Fastify, { type FastifyInstance, type LightMyRequestResponse } from 'fastify'
import { expect, onTestFinished, test } from 'vitest'
import { MemoryStore } from '../src/index.ts'

const https = { 'x-forwarded-proto': 'https' }

test('a session that began over http stays without Secure after a log-in over https, but with the line', async () => {
  const app = open(new MemoryStore(), { secure: 'auto', maxAge: 60_000 })
  for (const [path, isSecure] of [
    ['/login', false],
    ['/login-with-the-line', true],
  ] as const) {
    const begun = await app.inject({ method: 'POST', url: '/begin' })
    const answer = await app.inject({ method: 'POST', url: path, cookies: sent(begun), headers: https })
    expect(answer.cookies[0]?.secure ?? false).toBe(isSecure)
  }
})

test('changed settings of the cookie reach no stored session, but with the line', async () => {
  const store = new MemoryStore()
  const before = open(store, { secure: false, maxAge: 60_000, sameSite: 'lax' })
  const begun = await before.inject({ method: 'POST', url: '/begin' })
  const after = open(store, { secure: false, maxAge: 600_000, sameSite: 'strict' })
  const visit = await after.inject({ method: 'POST', url: '/begin', cookies: sent(begun) })
  expect(visit.cookies[0]).toMatchObject({ sameSite: 'Lax' })
  const applied = await after.inject({ method: 'POST', url: '/apply', cookies: sent(begun) })
  expect(applied.cookies[0]).toMatchObject({ sameSite: 'Strict' })
  const id = (await store.scan().next()).value?.session
  expect(id.cookie.expires.getTime() - Date.now()).toBeGreaterThan(500_000)
})

test('of two cookies of one name, the first counts: a dead one before a live one logs out', async () => {
  const app = open(new MemoryStore(), { secure: false })
  const dead = await app.inject({ method: 'POST', url: '/begin' })
  const live = await app.inject({ method: 'POST', url: '/login', cookies: sent(dead) })
  const header = [dead, live].map((answer) => cookieOf(answer)).join('; ')
  expect((await app.inject({ url: '/me', headers: { cookie: header } })).body).toBe('nobody')
  expect((await app.inject({ url: '/me', headers: { cookie: cookieOf(live) } })).body).toBe('ada')
})

test('a new session that holds a BigInt and nothing else is not saved, and one with more is an error', async () => {
  const store = new MemoryStore()
  const app = open(store, { secure: false })
  expect((await app.inject({ method: 'POST', url: '/big' })).statusCode).toBe(200)
  expect(await store.count()).toBe(0)
  const answer = await app.inject({ method: 'POST', url: '/big?user=ada' })
  expect([answer.statusCode, answer.json().code]).toEqual([500, 'SESSION_NOT_SERIALIZABLE'])
})

function open(store: MemoryStore, cookie: CookieOptions): FastifyInstance {
  const app = Fastify({ trustProxy: true })
  onTestFinished(() => app.close())
  app.register(fastifyCookie)
  const secret = 'a secret of the tests, of at least 32 characters'
  app.register(fastifySession, { secret, store, saveUninitialized: false, cookie })
  app.post('/begin', async ({ session }) => {
    session.set('visits' as never, 1 as never)
    return 'ok'
  })
  app.post('/login', async (request) => {
    await request.session.regenerate()
    request.session.set('user' as never, 'ada' as never)
    return 'ok'
  })
  app.post('/login-with-the-line', async (request) => {
    await request.session.regenerate()
    request.session.options(cookie)
    request.session.set('user' as never, 'ada' as never)
    return 'ok'
  })
  app.post('/apply', async ({ session }) => {
    session.options(cookie)
    return 'ok'
  })
  app.post<{ Querystring: { user?: string } }>('/big', async ({ session, query }) => {
    session.set('total' as never, 10n as never)
    if (query.user) session.set('user' as never, query.user as never)
    return 'ok'
  })
  app.get('/me', async ({ session }) => (session.get('user' as never) as string | undefined) ?? 'nobody')
  return app
}

function sent(answer: LightMyRequestResponse): Record<string, string> {
  const [cookie] = answer.cookies
  return cookie ? { [cookie.name]: cookie.value } : {}
}

/** As a header. */
function cookieOf(answer: LightMyRequestResponse): string {
  return answer.headers['set-cookie']?.toString().split(';', 1)[0] ?? ''
}
