import type { FastifyInstance } from 'fastify'
import type { Source } from '../source.ts'

/** The demo's code and the contract's rules, which the pages link to. They need no session. */
export async function sourceRoutes(app: FastifyInstance, { source }: { source: Source }): Promise<void> {
  app.get<{ Params: { '*': string } }>('/source/*', (request, reply) => {
    const file = request.params['*']
    const lines = source.linesOf(file)
    if (!lines) return reply.callNotFound()
    return reply.view('source', { file, lines })
  })

  app.get('/contract', (_request, reply) => reply.view('contract', { rules: source.rules }))
}
