// Session handling, all of it. The numbers are the five practices that the home page lists.
import fastifyCookie from '@fastify/cookie'
import fastifyCsrf from '@fastify/csrf-protection'
import fastifySession from '@fastify/session'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { SessionStore } from './stores.ts'

/** Practice 3: a session holds who it is and a few small fields. Everything else is looked up by the user's id. */
declare module 'fastify' {
  interface Session {
    userId?: string
    /** ms since the epoch */
    loggedInAt?: number
    note?: string
    colour?: string
    /** What the form tokens are made from. */
    _csrf?: string
  }
}

export interface SessionOptions {
  /** Practice 5: a real store. It also ends each session `absoluteTimeout` after it began. */
  store: SessionStore
  /** Signs the cookie: 32 characters or more. */
  secret: string
  /** Practice 2: a session ends this long after its last request. In ms. */
  idleTimeout: number
  /** Whether browsers reach the application by https only, as they should. */
  https: boolean
}

/** Practice 1: no script reads the cookie, no other site sends it along, and no plain http carries it. */
export function cookieSettings(https: boolean) {
  return {
    // Browsers take a __Host- cookie only when it is Secure, for the whole host and from this host alone: no subdomain
    // can plant one. Over plain http (localhost) there is no Secure, so there is no __Host- either.
    name: https ? '__Host-session' : 'session',
    attributes: { path: '/', httpOnly: true, sameSite: 'lax', secure: https || 'auto' },
  } as const
}

export function useSessions(app: FastifyInstance, { store, secret, idleTimeout, https }: SessionOptions): void {
  const { name, attributes } = cookieSettings(https)
  app.register(fastifyCookie)
  app.register(fastifySession, {
    store,
    secret,
    cookieName: name,
    cookie: { ...attributes, maxAge: idleTimeout },
    rolling: true, // each request begins the idle timeout anew; the store writes that only now and then
    saveUninitialized: false, // no session, and no cookie, for who only looks around
  })

  // Every form carries a token made from a secret in the session, and every POST is refused without it.
  app.register(fastifyCsrf, { sessionPlugin: '@fastify/session' })
  app.addHook('preHandler', (request, reply, done) => {
    if (request.method === 'GET' || request.method === 'HEAD') return done()
    app.csrfProtection(request, reply, done)
  })

  // Pages that show a session are for one person: no cache keeps them.
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })
}

/**
 * Practice 4: whoever logs in gets a new session id. Someone who slipped the visitor an id beforehand (session fixation)
 * is left with a dead one.
 */
export async function beginSession(request: FastifyRequest, userId: string): Promise<void> {
  await request.session.regenerate()
  request.session.userId = userId
  request.session.loggedInAt = Date.now()
}

/** Ends the session in the store, where it counts, and then takes the cookie back. */
export async function endSession(request: FastifyRequest, reply: FastifyReply, https: boolean): Promise<void> {
  const { name, attributes } = cookieSettings(https)
  await request.session.destroy()
  reply.clearCookie(name, attributes)
}
