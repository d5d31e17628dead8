import type { SessionStore } from '@session-stores/core'
import { logIn } from '@session-stores/fastify'
import type { FastifyInstance } from 'fastify'

/** @param store with `userOf`, so that it knows whose each session is */
export function addPasswordChange(
  app: FastifyInstance,
  store: SessionStore,
  setPassword: (user: string, password: string) => Promise<void>,
): void {
  app.post<{ Body: { password: string } }>('/password', async (request, reply) => {
    const { user, sessionId } = request.session
    if (!user) return reply.code(401).send('log in first')
    await setPassword(user, request.body.password) // once the old one was right; from here on it logs nobody in
    const ended = await store.destroyByUser(user, { except: sessionId })
    await logIn(request, { user }) // this session goes on under a new id
    return `logged out elsewhere: ${ended}`
  })
}
