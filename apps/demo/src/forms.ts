import fastifyCsrf from '@fastify/csrf-protection'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { cookieName } from './session.ts'

// Every form carries a token, and every POST is refused without the right one: a page of another site may send a form
// here, but cannot read a token.

/** Tokens made from a secret in the session: for the forms of somebody who is logged in. */
export function checkForms(app: FastifyInstance): void {
  app.register(fastifyCsrf, { sessionPlugin: '@fastify/session' })
  app.addHook('preHandler', (request, reply, done) => {
    if (request.method === 'GET' || request.method === 'HEAD') return done()
    app.csrfProtection(request, reply, done)
  })
}

/**
 * Tokens made from a secret in a cookie: for the forms of somebody who is not logged in. They cost the store nothing, however
 * often the log-in page is asked for. (A "naive double submit": over https the cookie's `__Host-` name keeps others
 * from planting one, see OWASP's Cross-Site Request Forgery Prevention Cheat Sheet.)
 */
export function checkGuestForms(app: FastifyInstance, https: boolean): void {
  const cookieOpts = { path: '/', httpOnly: true, sameSite: 'lax', secure: https } as const
  app.register(fastifyCsrf, { cookieKey: guestCookie(https), cookieOpts })
  app.addHook('preHandler', (request, reply, done) => {
    reply.header('cache-control', 'no-store') // a token is for one person
    if (request.method === 'GET' || request.method === 'HEAD') return done()
    app.csrfProtection(request, reply, done)
  })
}

/** Who has logged in needs the guests' secret no more. */
export function forgetGuest(reply: FastifyReply, https: boolean): void {
  reply.clearCookie(guestCookie(https), { path: '/', httpOnly: true, sameSite: 'lax', secure: https })
}

function guestCookie(https: boolean): string {
  return `${cookieName(https)}-form`
}
