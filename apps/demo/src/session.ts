// Session handling, all of it. The numbers are the five practices that the home page lists.
import { sessions } from '@session-stores/fastify'
import type { FastifyInstance } from 'fastify'
import type { SessionStore } from './stores/index.ts'

/** Practice 3: a session holds who it is and a few small fields. Everything else is looked up by the user's id. */
declare module 'fastify' {
  interface Session {
    userId?: string
    /** ms since the epoch */
    loggedInAt?: number
    /** Which of the user's passwords it began with: a session of an earlier one is nobody's. */
    passwordVersion?: number
    /** Browser and system that it began with. */
    device?: string
    /** What the next page is to say. */
    notice?: string
    note?: string
    colour?: string
    /** What the form tokens are made from. */
    _csrf?: string
  }
}

export interface SessionOptions {
  /** Practice 5: a real store. */
  store: SessionStore
  /** Signs the cookie: 32 characters or more. */
  secret: string
  /** Practice 2: a session ends this long after its last request. In ms. */
  idleTimeout: number
  /** Practice 2: it ends this long after log-in, however busy it is. In ms. */
  absoluteTimeout: number
  /** Whether browsers reach the application by https only, as they should. */
  https: boolean
}

export function useSessions(app: FastifyInstance, { https, ...options }: SessionOptions): void {
  // Practice 1: no script reads the cookie and no other site posts with it, which is the preset's default; and where
  // there is https, nothing else carries it. Practice 4, a new id at log-in, is `logIn` in routes/guest.ts.
  app.register(sessions, { ...options, cookieName: cookieName(https), cookie: { secure: https || 'auto' } })

  // A stored session keeps the age that its cookie was made with. This has a changed idle timeout hold for those too who
  // were logged in when the application was started anew.
  app.addHook('onRequest', async ({ session }) => {
    if (session.cookie.originalMaxAge !== options.idleTimeout) session.cookie.maxAge = options.idleTimeout
  })
}

/**
 * A name of the demo's own: cookies of `localhost` are shared by all its ports, and two applications that both say `session`
 * log each other's people out. Browsers take a `__Host-` cookie only when it is Secure, so over plain http there is none.
 */
export function cookieName(https: boolean): string {
  return `${https ? '__Host-' : ''}session-stores-demo`
}
