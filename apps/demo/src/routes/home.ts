import type { FastifyInstance } from 'fastify'
import { show } from '../visitor.ts'

export async function homeRoutes(app: FastifyInstance): Promise<void> {
  app.get('/', (request, reply) => show(request, reply, 'home'))
}
