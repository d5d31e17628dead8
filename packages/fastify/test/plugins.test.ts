// Plugins that applications have beside their sessions, each as its own README sets it up.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import fastifyCsrf from '@fastify/csrf-protection'
import fastifyFlash from '@fastify/flash'
import fastifyFormbody from '@fastify/formbody'
import fastifyOauth2, { type OAuth2Namespace } from '@fastify/oauth2'
import fastifyRateLimit from '@fastify/rate-limit'
import fastifyUnderPressure from '@fastify/under-pressure'
import fastifyWebsocket from '@fastify/websocket'
import Fastify, { type FastifyRequest } from 'fastify'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { logIn, logOut } from '../src/index.ts'
import { type Browser, describeOnStores, Site } from './setup.ts'

declare module 'fastify' {
  interface Session {
    oauthState?: string
  }
  interface FastifyInstance {
    provider: OAuth2Namespace
  }
}

describeOnStores('@fastify/csrf-protection', (makeStore) => {
  test('a form is taken with its token only, and the refusal is one reply', async () => {
    const ran: string[] = []
    await using site = await Site.open({ store: makeStore() }, async (app) => {
      app.register(fastifyFormbody)
      await app.register(fastifyCsrf, { sessionPlugin: '@fastify/session' })
      app.get('/form', async (_request, reply) => reply.generateCsrf())
      app.post('/form', { preHandler: app.csrfProtection }, async () => {
        ran.push('form')
        return 'taken'
      })
      // Sends and calls back, so that the token is looked at while this reply is on its way
      app.post('/twice', { preHandler: [visit, app.csrfProtection] }, async () => {
        ran.push('twice')
        return 'taken'
      })
    })
    const browser = site.browser()
    const { body: token } = await browser.get('/form')
    expect((await browser.post('/form', { _csrf: token })).body).toBe('taken')
    expect((await browser.post('/form', { _csrf: 'made up' })).status).toBe(403)
    expect((await site.browser().post('/form', { _csrf: token })).status).toBe(403)
    expect((await browser.post('/twice', { _csrf: 'made up' })).body).toBe('visited')
    expect(ran).toEqual(['form'])
  })
})

describeOnStores('@fastify/flash', (makeStore) => {
  test('a message is there for the next page, once', async () => {
    await using site = await Site.open({ store: makeStore() }, (app) => {
      app.register(fastifyFlash)
      app.post('/save', async (request, reply) => {
        request.flash('info', 'saved')
        return reply.redirect('/')
      })
      app.get('/', async (_request, reply) => reply.flash('info'))
    })
    const browser = site.browser()
    expect((await browser.follow(await browser.post('/save'))).body).toBe('["saved"]')
    expect((await browser.get('/')).body).toBe('[]')
  })
})

describeOnStores('@fastify/oauth2', (makeStore) => {
  test('its state is kept in the session: only who set out may come back', async () => {
    await using provider = await openProvider()
    await using site = await Site.open({ store: makeStore() }, (app) => {
      app.register(fastifyOauth2, {
        name: 'provider',
        credentials: {
          client: { id: 'client', secret: 'client secret' },
          auth: {
            authorizeHost: provider.base,
            tokenHost: provider.base,
            authorizePath: '/authorize',
            tokenPath: '/token',
          },
        },
        startRedirectPath: '/login',
        callbackUri: (request) => `http://${request.host}/callback`,
        generateStateFunction: (request) => {
          request.session.oauthState = randomBytes(16).toString('hex')
          return request.session.oauthState
        },
        checkStateFunction: ({ query, session }) => {
          const { state } = query as { state?: string }
          return state !== undefined && state === session.oauthState
        },
      })
      app.get('/callback', async (request, reply) => {
        const { token } = await app.provider.getAccessTokenFromAuthorizationCodeFlow(request)
        await logIn(request, { user: token.access_token })
        return reply.redirect('/user')
      })
      app.get('/user', async ({ session }) => session.user ?? 'nobody')
    })

    const browser = site.browser()
    const there = await browser.get('/login')
    const back = await fetch(there.headers.get('location') ?? '', { redirect: 'manual' })
    const callback = back.headers.get('location') ?? ''
    expect(callback).toContain('code=the-code')
    // Somebody else is given the link: the state is not theirs
    const stranger = site.browser()
    expect((await stranger.get(callback)).status).toBe(500)
    expect((await stranger.get('/user')).body).toBe('nobody')

    const before = await browser.cookie()
    expect((await browser.follow(await browser.get(callback))).body).toBe('token-for-the-code')
    expect(await browser.cookie()).not.toBe(before)
    expect((await browser.get(callback)).status).toBe(500)
  })
})

describeOnStores('@fastify/websocket', (makeStore) => {
  test('a socket sees the session, changes it by save(), and does not bring back one that was ended', async () => {
    await using site = await Site.open({ store: makeStore() }, async (app) => {
      await app.register(fastifyWebsocket)
      app.post('/log-in', async (request) => {
        await logIn(request, { user: 'ada' })
        return 'ok'
      })
      app.post('/log-out', async (request, reply) => {
        await logOut(request, reply)
        return 'ok'
      })
      app.get('/session', async ({ session }) => `${session.user ?? 'nobody'} ${session.visits ?? 0}`)
      app.get('/socket', { websocket: true }, (socket, { session }) => {
        socket.send(session.user ?? 'nobody')
        socket.on('message', async () => {
          session.visits = (session.visits ?? 0) + 1
          await session.save()
          socket.send('saved')
        })
      })
    })
    const browser = site.browser()
    await browser.post('/log-in')
    const stolen = await browser.copy()
    const socket = await connect(site, browser)
    expect(await socket.next()).toBe('ada')
    socket.send('visit')
    expect(await socket.next()).toBe('saved')
    expect((await browser.get('/session')).body).toBe('ada 1')

    await browser.post('/log-out')
    socket.send('visit')
    expect(await socket.next()).toBe('saved')
    expect((await stolen.get('/session')).body).toBe('nobody 0')

    const nobody = await connect(site, site.browser())
    expect(await nobody.next()).toBe('nobody')
    for (const each of [socket, nobody]) each.close()
  })
})

describeOnStores('@fastify/rate-limit', (makeStore) => {
  test('too many tries are a 429, with and without a session, by address or by session', async () => {
    await using site = await Site.open({ store: makeStore() }, async (app) => {
      await app.register(fastifyRateLimit, { global: false })
      app.post('/begin', async ({ session }) => {
        session.user = 'ada'
        return 'ok'
      })
      app.get('/by-address', { config: { rateLimit: { max: 2 } } }, async ({ session }) => session.user ?? 'nobody')
      const perSession = { max: 2, hook: 'preHandler', keyGenerator: sessionIdOf } as const
      app.get('/by-session', { config: { rateLimit: perSession } }, async ({ session }) => session.user ?? 'nobody')
    })
    const [ada, grace] = [site.browser(), site.browser()]
    for (const browser of [ada, grace]) await browser.post('/begin')
    const statuses = async (browser: Browser, path: string) => {
      const answers = []
      for (let n = 0; n < 3; n += 1) answers.push((await browser.get(path)).status)
      return answers
    }
    expect(await statuses(ada, '/by-session')).toEqual([200, 200, 429])
    expect(await statuses(grace, '/by-session')).toEqual([200, 200, 429])
    expect(await statuses(ada, '/by-address')).toEqual([200, 200, 429])
    expect(await statuses(grace, '/by-address')).toEqual([429, 429, 429])
  })
})

describeOnStores('@fastify/under-pressure', (makeStore) => {
  test('while it says 503 nobody is logged out, and its status page asks the store', async () => {
    const store = makeStore()
    const { ping } = store as unknown as { ping(): Promise<void> }
    let healthy = true
    await using site = await Site.open({ store }, async (app) => {
      await app.register(fastifyUnderPressure, {
        exposeStatusRoute: true,
        healthCheckInterval: 5,
        healthCheck: async () => {
          await ping.call(store)
          return healthy
        },
        pressureHandler: async (request, reply) => {
          request.session.visits = 1
          reply.code(503).send('busy')
        },
      })
      app.post('/begin', async ({ session }) => {
        session.user = 'ada'
        return 'ok'
      })
      app.get('/user', async ({ session }) => session.user ?? 'nobody')
    })
    const browser = site.browser()
    await browser.post('/begin')
    expect((await browser.get('/status')).status).toBe(200)
    healthy = false
    await expect.poll(async () => (await browser.get('/user')).body).toBe('busy')
    healthy = true
    await expect.poll(async () => (await browser.get('/user')).body).toBe('ada')
  })
})

function sessionIdOf({ session }: FastifyRequest): string {
  return session.sessionId
}

function visit(
  request: { session: { visits?: number } },
  reply: { send(text: string): unknown },
  done: () => void,
): void {
  request.session.visits = (request.session.visits ?? 0) + 1
  reply.send('visited')
  done()
}

/** Where users of the site log in: a provider of OAuth 2 (RFC 6749, section 4.1) that asks nobody anything. */
async function openProvider(): Promise<Site> {
  const app = Fastify()
  app.register(fastifyFormbody)
  app.get<{ Querystring: { redirect_uri: string; state: string } }>('/authorize', async ({ query }, reply) => {
    const back = new URL(query.redirect_uri)
    back.search = new URLSearchParams({ code: 'the-code', state: query.state }).toString()
    return reply.redirect(back.href)
  })
  app.post<{ Body: { code: string } }>('/token', async ({ body }) => ({
    access_token: `token-for-${body.code}`,
    token_type: 'Bearer',
    expires_in: 3600,
  }))
  return new Site(app, await app.listen({ host: '127.0.0.1', port: 0 }))
}

interface Connection {
  send(text: string): void
  /** The next message that came or comes. */
  next(): Promise<string>
  close(): void
}

async function connect(site: Site, browser: Browser): Promise<Connection> {
  const socket = new WebSocket(`${site.base.replace('http', 'ws')}/socket`, {
    headers: { cookie: await browser.cookie() },
  })
  const messages: string[] = []
  socket.on('message', (data) => messages.push(String(data)))
  await once(socket, 'open')
  return {
    send: (text) => socket.send(text),
    next: async () => {
      if (messages.length === 0) await once(socket, 'message')
      return messages.shift() ?? ''
    },
    close: () => socket.close(),
  }
}
