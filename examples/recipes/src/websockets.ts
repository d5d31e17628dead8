import fastifyWebsocket from '@fastify/websocket'
import type { SessionStore } from '@session-stores/core'
import type { FastifyInstance } from 'fastify'

/** To be called after sessions are registered. */
export async function addSocket(app: FastifyInstance, store: SessionStore, every = 15_000): Promise<void> {
  await app.register(fastifyWebsocket)

  app.get('/socket', { websocket: true }, (socket, { session }) => {
    if (!session.user) return socket.close(4401, 'log in first')
    const { sessionId } = session

    socket.on('message', async () => {
      session.visits = (session.visits ?? 0) + 1
      await session.save() // no reply will do it; a session that has ended meanwhile does not come back
      socket.send(`visit ${session.visits}`)
    })

    // What this socket has is the session as it was. Whether it is still there only the store knows.
    const check = setInterval(async () => {
      const now = await store.get(sessionId).catch(() => session) // an outage is no log-out
      if (!now?.user) socket.close(4401, 'logged out')
    }, every)
    socket.on('close', () => clearInterval(check))
  })
}
