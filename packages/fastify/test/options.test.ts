import fastifyCookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import { MemoryStore } from '@session-stores/core'
import Fastify from 'fastify'
import { describe, expect, test } from 'vitest'
import defaultExport, { type SessionsOptions, sessions } from '../src/index.ts'
import { SECRET, Site } from './setup.ts'

const store = new MemoryStore({ pruneInterval: false })

describe('a wrong option is a TypeError that names it and says what it wants', () => {
  const wrong: Array<[object, RegExp]> = [
    [{ store: undefined }, /^store must be a session store, such as new SqliteStore/],
    [{ store: 'redis://user:password@localhost' }, /^store must be a session store(?!.*password)/],
    [{ secret: undefined }, /^secret must be a string, a list of strings, or a signer/],
    [{ secret: Buffer.from(SECRET) }, /^secret must be a string, a list of strings, or a signer(?!.*tests)/],
    [{ secret: '' }, /^secret must be a string, or a list of them with the newest first$/],
    [{ secret: [] }, /^secret must be a string, or a list/],
    [{ secret: [SECRET, undefined] }, /^secret must be a string, or a list/],
    [{ idleTimeout: '1800000' }, /^idleTimeout must be a whole number of ms from 1 to \d+; got '1800000'$/],
    [{ idleTimeout: Number.NaN }, /^idleTimeout must be .*; got NaN$/],
    [{ idleTimeout: 0 }, /^idleTimeout must be .*; got 0$/],
    [{ absoluteTimeout: true }, /^absoluteTimeout must be .*, or false; got true$/],
    [{ absoluteTimeout: null }, /^absoluteTimeout must be .*, or false; got null$/],
    [{ closeTimeout: 2 ** 31 }, /^closeTimeout must be .* to 2147483647; got 2147483648$/],
    [{ cookie: { maxAge: Number.POSITIVE_INFINITY } }, /^cookie.maxAge must be .*; got Infinity$/],
    [{ cookie: { maxAge: null } }, /^cookie.maxAge must be .*; got null$/],
    [{ cookie: { maxAge: 1 }, idleTimeout: 1 }, /^idleTimeout and cookie.maxAge are the same: set only one/],
    [{ idleTimeout: 30 * 86_400_000 }, /^a session may be idle for 2592000000 ms, .*: raise absoluteTimeout, or set/],
    [{ absoluteTimeOut: 1 }, /^unknown option 'absoluteTimeOut': the options are store, secret, /],
    [{ algorithm: 'sha0' }, /^Algorithm sha0 not supported/],
    [{ cookie: { domain: 'not a domain' } }, /^there can be no cookie with this cookieName .*: .*domain/],
    [{ cookieName: 'two words' }, /^there can be no cookie with this cookieName .*: .*name/],
  ]
  for (const [options, message] of wrong) {
    test(Object.entries(options).join(), async () => {
      const app = Fastify()
      app.register(sessions, { store, secret: SECRET, ...options } as SessionsOptions)
      const error = await app.ready().then(
        () => undefined,
        (reason: unknown) => reason,
      )
      expect(error).toBeInstanceOf(TypeError)
      expect((error as Error).message).toMatch(message)
    })
  }
})

test('undefined is the default, and the caller’s objects stay as they are', async () => {
  const options: SessionsOptions = Object.freeze({
    store,
    secret: SECRET,
    idleTimeout: undefined,
    absoluteTimeout: undefined,
    closeTimeout: undefined,
    closeStore: undefined,
    cookieName: undefined,
    cookie: Object.freeze({ secure: undefined, maxAge: undefined, path: undefined }),
    rolling: undefined,
    saveUninitialized: undefined,
    idGenerator: undefined,
    cookiePrefix: undefined,
    algorithm: undefined,
  })
  await using app = Fastify()
  app.register(sessions, options)
  app.get('/', async (request) => {
    request.session.user = 'ada'
    return request.session.cookie
  })
  const { cookie } = { cookie: (await app.inject('/')).json() }
  expect(cookie).toMatchObject({ path: '/', secure: false, httpOnly: true, sameSite: 'lax' })
  expect(cookie.originalMaxAge).toBe(1_800_000)
})

describe('the options of @fastify/session are taken', () => {
  test('saveUninitialized and rolling', async () => {
    await using site = await Site.open({ store: new MemoryStore(), saveUninitialized: true, rolling: false }, (app) => {
      app.get('/', async () => 'ok')
    })
    const browser = site.browser()
    expect((await browser.get('/')).cookies).toHaveLength(1)
    expect((await browser.get('/')).cookies).toHaveLength(0)
  })

  test('idGenerator, algorithm and cookiePrefix', async () => {
    let count = 0
    const idGenerator = () => `id-${count++}`
    const options = { store: new MemoryStore(), idGenerator, algorithm: 'sha512', cookiePrefix: 's:' }
    await using site = await Site.open(options, (app) => {
      app.get('/', async ({ session }) => {
        session.visits = (session.visits ?? 0) + 1
        return `${session.visits}`
      })
    })
    const browser = site.browser()
    await browser.get('/')
    expect(decodeURIComponent(await browser.cookie())).toMatch(/^session=s:id-\d+\.[\w+/]{86}$/)
    expect((await browser.get('/')).body).toBe('2')
  })
})

test('@fastify/cookie is taken as it is where it is registered already', async () => {
  await using app = Fastify()
  app.register(fastifyCookie, { secret: 'for other cookies' })
  app.register(sessions, { store: new MemoryStore(), secret: SECRET })
  app.get('/', async (request, reply) => {
    request.session.user = 'ada'
    return reply.setCookie('other', 'x', { signed: true }).send('ok')
  })
  const lines = [(await app.inject('/')).headers['set-cookie'] ?? []].flat()
  expect(lines.map((line) => line.split('=', 1)[0])).toEqual(['other', 'session'])
})

test('@fastify/session beside it is refused', async () => {
  const app = Fastify()
  app.register(fastifyCookie)
  app.register(fastifySession, { secret: SECRET })
  app.register(sessions, { store, secret: SECRET })
  await expect(app.ready()).rejects.toThrow(/^request.session is there already/)
})

test('two parts of an application may each have sessions of their own', async () => {
  await using app = Fastify()
  for (const part of ['shop', 'staff']) {
    app.register(
      async (scope) => {
        scope.register(defaultExport, { store: new MemoryStore(), secret: SECRET, cookieName: part })
        scope.get('/', async ({ session }) => {
          session.visits = (session.visits ?? 0) + 1
          return `${session.visits}`
        })
      },
      { prefix: part },
    )
  }
  const first = await app.inject('/shop')
  const cookie = `${first.headers['set-cookie']}`.split(';', 1)[0] ?? ''
  expect((await app.inject({ url: '/shop', headers: { cookie } })).body).toBe('2')
  expect((await app.inject({ url: '/staff', headers: { cookie } })).body).toBe('1')
})
