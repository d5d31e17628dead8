import { createRequire } from 'node:module'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { answerParsed, type Contestant, type Place, type Store } from './contestant.ts'
import { openOurs, packageOf } from './ours.ts'
import { lifetimeOf } from './session.ts'

const require = createRequire(import.meta.url)

export const redis: Contestant[] = [
  {
    name: 'RedisStore',
    kind: 'redis',
    role: 'ours',
    driver: 'ioredis alone',
    packages: ['@session-stores/redis', 'ioredis'],
    open: async (place) => {
      const { RedisStore } = await packageOf('redis', place, () => import('@session-stores/redis'))
      const client = new Redis(place.port)
      return openOurs(place, (options) => new RedisStore({ client, ...options }))
    },
  },
  onIoredis('connect-redis 8 (ioredis)', 'connect-redis-8', () => require('connect-redis-8').RedisStore),
  {
    name: 'connect-redis 10 (node-redis)',
    kind: 'redis',
    role: 'peer',
    driver: 'node-redis alone',
    packages: ['connect-redis-10', 'redis'],
    open: async (place) => {
      const client = await nodeRedis(place)
      const { RedisStore } = require('connect-redis-10')
      return { store: new RedisStore({ client }) }
    },
  },
  onIoredis(
    'fastify-session-redis-store (ioredis)',
    'fastify-session-redis-store',
    () => require('fastify-session-redis-store').RedisStore,
  ),
  {
    name: 'ioredis alone',
    kind: 'redis',
    role: 'driver',
    packages: ['ioredis'],
    open: async ({ port }) => {
      const client = new Redis(port)
      const store: Store = {
        get: (id, callback) => client.get(id, (error, text) => answerParsed(callback, error, text)),
        set: (id, session, callback) => client.set(id, JSON.stringify(session), 'PX', lifetimeOf(session), callback),
        destroy: (id, callback) => client.del(id, callback),
      }
      return { store }
    },
  },
  {
    name: 'node-redis alone',
    kind: 'redis',
    role: 'driver',
    packages: ['redis'],
    open: async (place) => {
      const client = await nodeRedis(place)
      const store: Store = {
        get: (id, callback) => client.get(id).then((text) => answerParsed(callback, null, text), callback),
        set: (id, session, callback) =>
          client
            .set(id, JSON.stringify(session), { expiration: { type: 'PX', value: lifetimeOf(session) } })
            .then(() => callback(), callback),
        destroy: (id, callback) => client.del(id).then(() => callback(), callback),
      }
      return { store }
    },
  },
]

function onIoredis(name: string, alias: string, load: () => new (options: { client: Redis }) => Store): Contestant {
  return {
    name,
    kind: 'redis',
    role: 'peer',
    driver: 'ioredis alone',
    packages: [alias, 'ioredis'],
    open: async ({ port }) => {
      const client = new Redis(port)
      const RedisStore = load()
      return { store: new RedisStore({ client }) }
    },
  }
}

async function nodeRedis({ port }: Place) {
  const client = createClient({ socket: { host: '127.0.0.1', port } })
  client.on('error', () => {}) // reported by the call that failed; without a listener the process ends
  return client.connect()
}
