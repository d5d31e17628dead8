import fastifySecureSession from '@fastify/secure-session'
import { logIn, sessions } from '@session-stores/fastify'

/** For as long as cookies from before may live. `key` is theirs, and `session` what they are called. */
export function addSessions(app, { store, secret, key }) {
  app.register(fastifySecureSession, { sessionName: 'oldSession', cookieName: 'session', key, cookie: { path: '/' } })
  app.register(sessions, { store, secret })

  app.addHook('preValidation', async (request) => {
    const { user, cart } = request.oldSession.data() ?? {}
    if (user === undefined && cart === undefined) return
    if (request.session.user === undefined) await logIn(request, { user, cart })
    request.oldSession.delete()
  })
}
