import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import fastifyCookie from '@fastify/cookie'
import fastifySession, { type SessionStore } from '@fastify/session'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import type { Store } from '../contestants/contestant.ts'
import { sessionOf } from '../contestants/session.ts'

const require = createRequire(import.meta.url)
const MAX_AGE = 60 * 60_000
/** How many have logged in: each is another one. */
let users = 0

/** An application as small as one can be that uses its sessions. */
export function buildApp(store: Store): FastifyInstance {
  const app = Fastify()
  app.register(fastifyCookie)
  app.register(fastifySession, {
    secret: 'a secret of the benchmark, of at least 32 characters',
    store: store as unknown as SessionStore,
    saveUninitialized: false,
    cookie: { secure: false, maxAge: MAX_AGE },
  })
  return withRoutes(app)
}

/** The same with the whole session in its cookie, encrypted. */
export function buildAppWithoutStore(): FastifyInstance {
  const app = Fastify()
  app.register(require('@fastify/secure-session'), {
    key: randomBytes(32),
    expiry: MAX_AGE / 1000,
    cookie: { path: '/', secure: false },
  })
  return withRoutes(app)
}

function withRoutes(app: FastifyInstance): FastifyInstance {
  app.get('/read', async (request) => ({ user: sessionIn(request).get('user') }))
  app.get('/change', async (request) => {
    const session = sessionIn(request)
    const visits = (session.get('visits') as number) + 1
    session.set('visits', visits)
    return { visits }
  })
  app.get<{ Querystring: { bytes: string } }>('/log-in', async (request) => {
    await sessionIn(request).regenerate()
    users += 1
    for (const [key, value] of Object.entries(sessionOf(Number(request.query.bytes), `user-${users}`)))
      sessionIn(request).set(key, value)
    return { welcome: true }
  })
  return app
}

/** What both plugins have. */
interface RequestSession {
  get(key: string): unknown
  set(key: string, value: unknown): void
  regenerate(): unknown
}

function sessionIn(request: FastifyRequest): RequestSession {
  return request.session as unknown as RequestSession
}
