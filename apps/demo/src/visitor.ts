import type { SessionFields } from '@session-stores/fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { deviceFrom } from './device.ts'
import type { User, Users } from './users.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who is logged in, if anybody. */
    user: User | null
  }
}

/**
 * Looks up the session's user for each request. A user who is gone is logged out, whatever sessions are left; and so is
 * whoever logged in with a password that is not the user's any more, be it that the log-in was under way when it was changed.
 */
export function findUser(app: FastifyInstance, users: Users): void {
  app.decorateRequest('user', null)
  app.addHook('onRequest', async (request) => {
    const { userId, passwordVersion } = request.session
    const user = userId ? users.find(userId) : undefined
    request.user = user && user.passwordVersion === passwordVersion ? user : null
  })
}

/** For pages that only somebody who is logged in may see. */
export async function requireUser(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
  if (!request.user) return reply.redirect('/login', 303)
}

/** For pages that make no sense to somebody who is logged in. */
export async function requireNobody(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
  if (request.user) return reply.redirect('/profile', 303)
}

/** Shows a page with what all pages need. `it.csrf()` makes a form's token, see forms.ts. */
export function show(request: FastifyRequest, reply: FastifyReply, page: string, data: object = {}): FastifyReply {
  const { user, session } = request
  return reply.view(page, { user, colour: session.colour, csrf: () => reply.generateCsrf(), ...data })
}

/** What a session holds from the log-in on. */
export function sessionFieldsOf(request: FastifyRequest, user: User): SessionFields {
  return {
    userId: user.id,
    passwordVersion: user.passwordVersion,
    loggedInAt: Date.now(),
    device: deviceFrom(request.headers['user-agent']),
  }
}

/** What is wrong with a new password, if anything. */
export function passwordProblem(password: string): string | undefined {
  // Long is what counts (NIST SP 800-63B); an upper limit keeps the hashing cheap.
  if (password.length < 8 || password.length > 128) return 'A password has 8 to 128 characters.'
}

/** A field of a form as text: missing, or sent twice, counts as empty. */
export function field(request: FastifyRequest, name: string): string {
  const value = (request.body as Record<string, unknown> | null | undefined)?.[name]
  return typeof value === 'string' ? value : ''
}
