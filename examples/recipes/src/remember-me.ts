import type { SessionStore } from '@session-stores/core'
import { logIn, sessions } from '@session-stores/fastify'
import type { FastifyInstance } from 'fastify'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

/** Who asks to be remembered stays logged in for 30 days without a visit, everyone else for 30 minutes. */
export function addLogIn(app: FastifyInstance, store: SessionStore, secret: string): void {
  app.register(sessions, { store, secret, idleTimeout: 30 * MINUTE, absoluteTimeout: 90 * DAY })

  app.post<{ Body: { user: string; remember?: boolean } }>('/login', async (request) => {
    const { user, remember } = request.body // once the password was right
    await logIn(request, { user })
    if (remember) request.session.cookie.maxAge = 30 * DAY
    return 'welcome'
  })
}
