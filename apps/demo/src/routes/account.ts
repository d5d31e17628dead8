import { logOut } from '@session-stores/fastify'
import type { FastifyInstance } from 'fastify'

export async function accountRoutes(app: FastifyInstance): Promise<void> {
  // A POST: a link or an image on another site must not log anybody out
  app.post('/logout', async (request, reply) => {
    await logOut(request, reply)
    return reply.redirect('/', 303)
  })
}
