import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { User, Users } from './users.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who is logged in, if anybody. */
    user: User | null
  }
}

/** Looks up the session's user for each request: a user who is gone is logged out, whatever sessions are left. */
export function findUser(app: FastifyInstance, users: Users): void {
  app.decorateRequest('user', null)
  app.addHook('onRequest', async (request) => {
    const { userId } = request.session
    request.user = (userId && users.find(userId)) || null
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

/** A field of a form as text: missing, or sent twice, counts as empty. */
export function field(request: FastifyRequest, name: string): string {
  const value = (request.body as Record<string, unknown> | null | undefined)?.[name]
  return typeof value === 'string' ? value : ''
}
