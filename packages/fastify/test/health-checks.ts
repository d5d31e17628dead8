import underPressure from '@fastify/under-pressure'
import type { SessionStore } from '@session-stores/core'
import type { FastifyInstance } from 'fastify'

/** `/ready` says whether sessions work, `/live` whether the process does. To be called before sessions are registered. */
export function addHealthChecks(app: FastifyInstance, store: SessionStore): void {
  app.register(underPressure, {
    healthCheck: async () => {
      try {
        await store.ping({ timeout: 400 })
        return true
      } catch {
        return false
      }
    },
    healthCheckInterval: 250,
    exposeStatusRoute: '/ready',
    retryAfter: 1,
  })
  app.get('/live', { config: { pressureHandler: () => {} } }, async () => 'ok')
}
