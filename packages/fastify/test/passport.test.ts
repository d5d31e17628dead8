// The flows of @fastify/passport, as its README and its own tests have them.
import { createRequire } from 'node:module'
import fastifyCsrf from '@fastify/csrf-protection'
import fastifyFormbody from '@fastify/formbody'
import type { FastifyInstance, FastifyReply, FastifyRequest, preValidationAsyncHookHandler } from 'fastify'
import { expect, test } from 'vitest'
import { type Browser, describeOnStores, type MakeStore, Site } from './setup.ts'

// By require(), for its declarations would give every request of this repository a `user` of its own kind.
const { Authenticator, Strategy } = createRequire(import.meta.url)('@fastify/passport') as Passport

describeOnStores('@fastify/passport', (makeStore) => {
  test('the right password logs in, under a new id', async () => {
    await using site = await open(makeStore)
    const browser = site.browser()
    await browser.post('/cart')
    const before = await browser.cookie()
    const answer = await logIn(browser, '/login')
    expect([answer.status, answer.body]).toEqual([200, 'the handler greets ada'])
    expect(await browser.cookie()).not.toBe(before)
    expect(await contents(browser)).toEqual({ passport: 'ada' })
    expect((await browser.get('/me')).body).toBe('ada')
  })

  test('successRedirect answers instead of the handler', async () => {
    await using site = await open(makeStore)
    const browser = site.browser()
    const answer = await logIn(browser, '/login/success-redirect')
    expect([answer.status, answer.headers.get('location')]).toEqual([302, '/me'])
    expect((await browser.follow(answer)).body).toBe('ada')
    expect(site.handlersRun).toEqual(['/me'])
  })

  test('successReturnToOrRedirect goes where the visitor wanted to go', async () => {
    await using site = await open(makeStore)
    const browser = site.browser()
    const refused = await browser.get('/me')
    expect([refused.status, refused.headers.get('location')]).toEqual([302, '/login'])
    const answer = await logIn(browser, '/login/return-to')
    expect([answer.status, answer.headers.get('location')]).toEqual([302, '/me'])
    expect((await browser.follow(answer)).body).toBe('ada')
    expect((await logIn(site.browser(), '/login/return-to')).headers.get('location')).toBe('/')
  })

  test('successFlash and successMessage are there for the next page, once', async () => {
    await using site = await open(makeStore)
    const browser = site.browser()
    await logIn(browser, '/login/success-flash')
    expect((await browser.get('/flashes')).body).toBe('{"success":["welcome"]}')
    expect((await browser.get('/flashes')).body).toBe('{}')
    await logIn(browser, '/login/success-message')
    expect((await contents(browser)).messages).toBe(undefined)
    expect((await contents(browser)).passport).toBe('ada')
  })

  test('keepSessionInfo carries the session over to the new id', async () => {
    await using site = await open(makeStore)
    const browser = site.browser()
    await browser.post('/cart')
    const before = await browser.copy()
    await logIn(browser, '/login/keep')
    expect(await contents(browser)).toEqual({ passport: 'ada', cart: ['tea'] })
    expect(await browser.cookie()).not.toBe(await before.cookie())
    expect(await contents(before)).toEqual({})
  })

  test('a callback decides for itself', async () => {
    await using site = await open(makeStore)
    const browser = site.browser()
    expect((await logIn(browser, '/login/callback')).body).toBe('the callback saw ada')
    expect((await logIn(browser, '/login/callback', 'wrong')).body).toBe('the callback saw nobody')
    expect((await browser.get('/flashes')).body).toBe('{"error":["from the callback","from the callback"]}')
    expect(await contents(browser)).toEqual({ flash: {} })
  })

  // Each of these changes the session, so its reply waits for the store: what ended the process.
  const failures = [
    { path: '/login', status: 401, body: 'Unauthorized' },
    { path: '/login/failure-message', status: 401, body: 'Unauthorized' },
    { path: '/login/failure-flash', status: 401, body: 'Unauthorized' },
    { path: '/login/failure-redirect', status: 302, body: '', location: '/login' },
    { path: '/login/failure-with-error', status: 401, body: 'the error handler: Unauthorized' },
    { path: '/login/several', status: 401, body: 'Unauthorized' },
    { path: '/login/as-handler', status: 401, body: 'Unauthorized' },
  ]
  for (const { path, status, body, location = null } of failures) {
    test(`the wrong password at ${path} is answered once, and no handler runs`, async () => {
      await using site = await open(makeStore)
      const browser = site.browser()
      await browser.post('/cart')
      site.handlersRun.length = 0
      const answer = await logIn(browser, path, 'wrong')
      expect([answer.status, answer.body, answer.headers.get('location')]).toEqual([status, body, location])
      expect(site.handlersRun).toEqual([])
      const { passport, cart } = await contents(browser)
      expect([passport, cart]).toEqual([undefined, ['tea']])
    })

    test(`so it is with ${path} for a visitor without a session`, async () => {
      await using site = await open(makeStore)
      const answer = await logIn(site.browser(), path, 'wrong')
      expect([answer.status, answer.body, answer.headers.get('location')]).toEqual([status, body, location])
      expect(site.handlersRun).toEqual([])
    })
  }

  test('what a failed log-in leaves for the next page is there', async () => {
    await using site = await open(makeStore)
    const browser = site.browser()
    await logIn(browser, '/login/failure-message', 'wrong')
    await logIn(browser, '/login/failure-message', 'wrong')
    expect((await contents(browser)).messages).toEqual(['wrong password', 'wrong password'])
    await logIn(browser, '/login/failure-flash', 'wrong')
    expect((await browser.get('/flashes')).body).toBe('{"error":["no such user"]}')
  })

  test('a strategy that throws is an error, and the process goes on', async () => {
    await using site = await open(makeStore)
    const answer = await logIn(site.browser(), '/login/failure-message', 'broken')
    expect([answer.status, answer.body]).toEqual([500, 'the error handler: the strategy is broken'])
    expect((await logIn(site.browser(), '/login')).status).toBe(200)
  })

  test('logged out is logged out, for a copy of the cookie too', async () => {
    await using site = await open(makeStore)
    const browser = site.browser()
    await logIn(browser, '/login')
    const stolen = await browser.copy()
    expect((await browser.post('/logout')).status).toBe(200)
    for (const each of [browser, stolen]) expect((await each.get('/me')).status).toBe(302)
  })

  test('the form token of before the log-in is worth nothing after it', async () => {
    await using site = await open(makeStore)
    const browser = site.browser()
    const { body: token } = await browser.get('/token')
    expect((await browser.post('/protected', { _csrf: token })).status).toBe(200)
    await logIn(browser, '/login')
    const refused = await browser.post('/protected', { _csrf: token })
    expect([refused.status, refused.body]).toEqual([403, 'the error handler: Missing csrf secret'])
    const { body: fresh } = await browser.get('/token')
    expect((await browser.post('/protected', { _csrf: fresh })).status).toBe(200)
  })

  test('many at once, right and wrong, do not meet', async () => {
    await using site = await open(makeStore)
    const answers = await Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        const browser = site.browser()
        const answer = await logIn(browser, '/login/failure-message', n % 2 === 0 ? 'right' : 'wrong')
        return [answer.status, (await browser.get('/me')).status]
      }),
    )
    expect(answers).toEqual(answers.map((_, n) => (n % 2 === 0 ? [200, 200] : [401, 302])))
  })
})

interface PassportSite extends AsyncDisposable {
  browser(): Browser
  /** The paths of the handlers that have run. */
  handlersRun: string[]
}

async function open(makeStore: MakeStore): Promise<PassportSite> {
  const handlersRun: string[] = []
  const site = await Site.open({ store: makeStore() }, (app) => routes(app, handlersRun))
  return {
    browser: () => site.browser(),
    handlersRun,
    [Symbol.asyncDispose]: () => site[Symbol.asyncDispose](),
  }
}

function logIn(browser: Browser, path: string, password = 'right') {
  return browser.post(path, { name: 'ada', password })
}

/** What the application has in the session. */
async function contents(browser: Browser): Promise<Record<string, unknown>> {
  return JSON.parse((await browser.get('/contents')).body)
}

async function routes(app: FastifyInstance, handlersRun: string[]): Promise<void> {
  const passport = new Authenticator()
  passport.use('password', new PasswordStrategy('password'))
  passport.use('token', new TokenStrategy('token'))
  passport.registerUserSerializer(async ({ name }) => name)
  passport.registerUserDeserializer(async (name) => ({ name }))

  app.register(fastifyFormbody)
  app.register(passport.initialize())
  app.register(passport.secureSession())
  await app.register(fastifyCsrf, { sessionPlugin: '@fastify/session' })
  app.setErrorHandler<Error & { status?: number; statusCode?: number }>(async (error, _request, reply) => {
    // Without return, as many are written: Fastify may not take it for a second reply
    reply.code(error.statusCode ?? error.status ?? 500).send(`the error handler: ${error.message}`)
  })

  const password = (options?: object) => passport.authenticate('password', options)
  const ways: Record<string, preValidationAsyncHookHandler> = {
    '/login': password(),
    '/login/success-redirect': password({ successRedirect: '/me' }),
    '/login/return-to': password({ successReturnToOrRedirect: '/', keepSessionInfo: true }),
    '/login/success-flash': password({ successFlash: 'welcome', keepSessionInfo: true }),
    '/login/success-message': password({ successMessage: 'welcome' }),
    '/login/keep': password({ keepSessionInfo: true }),
    '/login/failure-message': password({ failureMessage: true }),
    '/login/failure-flash': password({ failureFlash: 'no such user' }),
    '/login/failure-redirect': password({ failureRedirect: '/login', failureMessage: true }),
    '/login/failure-with-error': password({ failWithError: true, failureMessage: true }),
    '/login/several': passport.authenticate(['password', 'token'], { failureMessage: true }),
    '/login/callback': passport.authenticate('password', async (request, reply, _error, user) => {
      request.flash('error', 'from the callback')
      reply.send(`the callback saw ${user ? user.name : 'nobody'}`)
    }),
  }
  for (const [path, preValidation] of Object.entries(ways)) {
    app.post(path, { preValidation }, async (request) => {
      handlersRun.push(path)
      return `the handler greets ${userOf(request)}`
    })
  }
  app.post('/login/as-handler', password({ failureMessage: true }) as never)

  app.get('/me', { preValidation: requireUser }, async (request) => {
    handlersRun.push('/me')
    return userOf(request)
  })
  app.post('/logout', async (request) => {
    await (request as PassportRequest).logOut()
    return 'bye'
  })
  app.post('/cart', async (request) => {
    request.session.cart = ['tea']
    return 'ok'
  })
  app.get('/contents', async ({ session }) => {
    const { cookie, '~createdAt': _, ...rest } = JSON.parse(JSON.stringify(session))
    return rest
  })
  app.get('/flashes', async (_request, reply) => (reply as FastifyReply & { flash(): object }).flash())
  app.get('/token', async (_request, reply) => reply.generateCsrf())
  app.post('/protected', { preHandler: app.csrfProtection }, async () => 'ok')
}

/** As the README of @fastify/passport protects a route, but that it forgets to return the reply. */
async function requireUser(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  if ((request as PassportRequest).isAuthenticated()) return
  request.session.set('returnTo' as never, request.url as never)
  reply.redirect('/login')
}

function userOf(request: FastifyRequest): string | undefined {
  return (request as unknown as { user: User | null }).user?.name
}

/** Answers later, as one that asks a database does. */
class PasswordStrategy extends Strategy {
  override authenticate(request: FastifyRequest): void {
    const { name, password } = request.body as Record<string, string>
    setImmediate(() => {
      if (password === 'broken') this.error(new Error('the strategy is broken'))
      else if (password === 'right') this.success({ name })
      else this.fail('wrong password')
    })
  }
}

class TokenStrategy extends Strategy {
  override authenticate(): void {
    this.fail('no token')
  }
}

interface User {
  name: string
}

interface PassportRequest extends FastifyRequest {
  logOut(): Promise<void>
  isAuthenticated(): boolean
  flash(type: string, message: string): number
}

type PassportCallback = (
  request: PassportRequest,
  reply: FastifyReply,
  error: Error | null,
  user?: User | false,
) => Promise<unknown>

/** The part of its interface that is used here. */
interface Passport {
  Authenticator: new () => {
    use(name: string, strategy: object): void
    registerUserSerializer(serialize: (user: User) => Promise<string>): void
    registerUserDeserializer(deserialize: (name: string) => Promise<User>): void
    initialize(): (app: FastifyInstance) => Promise<void>
    secureSession(): (app: FastifyInstance) => Promise<void>
    authenticate(strategy: string | string[], options?: object | PassportCallback): preValidationAsyncHookHandler
  }
  Strategy: abstract new (
    name: string,
  ) => {
    authenticate(request: FastifyRequest): void
    success(user: object): void
    fail(challenge: string): void
    error(error: Error): void
  }
}
