import { buildApp, type Gate } from '@session-stores/testing'
import type { SqliteStore } from '../src/index.ts'

/** The application of the tests with a page on which users see their sessions and end them. */
export function buildUserApp(store: SqliteStore, gate?: Gate) {
  const app = buildApp(store, gate)
  const userOf = (request: { session: object }) => (request.session as { user: string }).user
  app.get('/sessions', async (request) => {
    const own = store.handleOf(request.session.sessionId)
    const sessions = await store.listByUser(userOf(request))
    return { own, handles: sessions.map(({ handle }) => handle) }
  })
  app.post<{ Params: { handle: string } }>('/end/:handle', async (request) => {
    return { ended: await store.destroyByHandle(request.params.handle) }
  })
  app.post('/log-out-elsewhere', async (request) => {
    return { ended: await store.destroyByUser(userOf(request), { except: request.session.sessionId }) }
  })
  return app
}
