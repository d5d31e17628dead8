// Compiled by the type check, never run: a store fits `@fastify/session`, and the application's session type flows through.
import fastifySession, { type SessionStore as PluginStore } from '@fastify/session'
import Fastify, { type Session } from 'fastify'
import { MemoryStore, SessionStore } from '../src/index.ts'

declare module 'fastify' {
  interface Session {
    typeTestUser: { id: number }
  }
}

const untyped: PluginStore = new MemoryStore()
const typed: PluginStore = new MemoryStore<Session>()
const overBackend: PluginStore = new SessionStore<Session>(new MemoryStore().backend)
for (const store of [untyped, typed, overBackend]) {
  Fastify().register(fastifySession, { secret: 'x'.repeat(32), store })
}

const session: Session | null = await new MemoryStore<Session>().get('id')
const id: number | undefined = session?.typeTestUser.id
// @ts-expect-error the application's type says it is an object
const wrong: string | undefined = session?.typeTestUser
// @ts-expect-error a session must be what the application says
void new MemoryStore<Session>().set('id', { typeTestUser: 5 })
const returned: void = new MemoryStore<Session>().get('id', (_error, found) => found?.typeTestUser.id.toFixed())
// @ts-expect-error a wrong option is a compile-time error too
new MemoryStore({ ttl: '1 day' })

export { id, returned, wrong }
