// Compiled by the type check, never run: every client of both majors is accepted, and the session's type flows through.
import fastifySession from '@fastify/session'
import Fastify, { type Session } from 'fastify'
import { Cluster as Cluster6, Redis as Redis6 } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import { RedisStore } from '../src/index.ts'

const clients = [
  new Redis6(),
  new Redis6({ protocol: 2 }),
  new Redis6({ replyMapping: 'resp3' }),
  new Redis6({ sentinels: [], name: 'sessions' }),
  new Cluster6([]),
  new Cluster6([], { redisOptions: { replyMapping: 'resp3' } }),
  new Redis5(),
  new Cluster5([]),
]
for (const client of clients) {
  Fastify().register(fastifySession, { secret: 'x'.repeat(32), store: new RedisStore({ client }) })
}
export const typed: Promise<Session | null> = new RedisStore<Session>({ client: {} as Redis6, prefix: 'a:' }).get('id')
// @ts-expect-error a client must be given
new RedisStore({})
// @ts-expect-error an address is not a client
new RedisStore({ client: 'redis://127.0.0.1' })
// @ts-expect-error unknown options are refused
new RedisStore({ client: {} as Redis6, url: 'redis://127.0.0.1' })
