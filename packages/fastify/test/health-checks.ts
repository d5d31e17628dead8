import underPressure from '@fastify/under-pressure'
import type { SessionStore } from '@session-stores/core'
import type { FastifyInstance } from 'fastify'

/** `/ready` says whether sessions work, and `/live` whether the process does. Before the sessions and the routes. */
export function addHealthChecks(app: FastifyInstance, store: SessionStore): void {
  app.register(underPressure, {
    healthCheck: () =>
      store.ping({ timeout: 400 }).then(
        () => true,
        () => false,
      ),
    healthCheckInterval: 250,
    exposeStatusRoute: '/ready',
    retryAfter: 1,
  })
  app.get('/live', { config: { pressureHandler: () => {} } }, async () => 'ok')
}
