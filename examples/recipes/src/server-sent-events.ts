import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SessionStore } from '@session-stores/core'
import type { FastifyInstance } from 'fastify'

/** Streams of events for users who are logged in, and for as long as they are. */
export function addEvents(app: FastifyInstance, store: SessionStore, every = 15_000): void {
  async function* events(sessionId: string) {
    while ((await store.get(sessionId))?.user) {
      yield `data: ${new Date().toISOString()}\n\n`
      await sleep(every)
    }
    yield 'event: end\ndata: logged out\n\n'
  }

  // A stream is sent like any reply: the session is saved and its cookie set before the first event.
  app.get('/events', async ({ session }, reply) => {
    if (!session.user) return reply.code(401).send('log in first')
    return reply.type('text/event-stream').send(Readable.from(events(session.sessionId)))
  })

  // A hijacked reply is yours alone: nothing is saved after it and no cookie is set, so save before.
  app.get('/hijacked', async ({ session }, reply) => {
    if (!session.user) return reply.code(401).send('log in first')
    session.visits = (session.visits ?? 0) + 1
    await session.save()
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    Readable.from(events(session.sessionId)).pipe(reply.raw)
    return reply
  })
}
