import fastifyRateLimit from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'

/** So many requests a minute for each user, and for each address of those who are not logged in. After sessions. */
export async function addRateLimit(app: FastifyInstance, max = 100): Promise<void> {
  await app.register(fastifyRateLimit, {
    max,
    timeWindow: 60_000,
    hook: 'preHandler', // the session is there by then
    keyGenerator: ({ session, ip }) => (session.user ? `user ${session.user}` : `address ${ip}`),
  })
}
