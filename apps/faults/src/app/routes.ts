import { randomBytes, randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { CANARY } from './canary.ts'

declare module 'fastify' {
  interface Session {
    user?: string
    secret?: string
    filler?: string
    a?: number
    b?: number
  }
}

/** A user logs in, reads, changes two values, and logs out. Without a session that is logged in: 401. */
export function addRoutes(app: FastifyInstance, { bytes }: { bytes: number }): void {
  app.post<{ Params: { user: string } }>('/login/:user', async (request) => {
    await request.session.regenerate() // which makes request.session another object
    const secret = CANARY + randomUUID()
    Object.assign(request.session, {
      user: request.params.user,
      secret,
      filler: randomBytes(bytes / 2).toString('hex'),
      a: 0,
      b: 0,
    })
    return { secret }
  })

  app.get('/me', async ({ session }, reply) => {
    const { user, secret, a, b } = session
    if (user === undefined) return reply.code(401).send({})
    return { user, secret, a, b }
  })

  app.post<{ Params: { key: 'a' | 'b'; value: string } }>('/set/:key/:value', async ({ session, params }, reply) => {
    if (session.user === undefined) return reply.code(401).send({})
    session[params.key] = Number(params.value)
    return {}
  })

  app.post('/logout', async ({ session }, reply) => {
    if (session.user === undefined) return reply.code(401).send({})
    await session.destroy()
    return {}
  })
}
