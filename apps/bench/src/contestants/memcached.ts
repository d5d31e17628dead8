import { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'
import memjs from 'memjs'
import { answerParsed, type Contestant, type Place, type Store, type StoredSession } from './contestant.ts'
import { openOurs, packageOf } from './ours.ts'
import { lifetimeOf } from './session.ts'

const require = createRequire(import.meta.url)
/** Stands in for express-session, of which these packages extend the `Store`. */
const express = { Store: EventEmitter }

export const memcached: Contestant[] = [
  {
    name: 'MemcachedStore',
    kind: 'memcached',
    role: 'ours',
    driver: 'memjs alone',
    packages: ['@session-stores/memcached', 'memjs'],
    open: async (place) => {
      const { MemcachedStore } = await packageOf('memcached', place, () => import('@session-stores/memcached'))
      const client = clientOfMemjs(place)
      return openOurs(place, (options) => new MemcachedStore({ client, ...options }))
    },
  },
  {
    name: 'connect-memjs',
    kind: 'memcached',
    role: 'peer',
    driver: 'memjs alone',
    packages: ['connect-memjs', 'memjs'],
    open: async (place) => {
      const client = clientOfMemjs(place)
      const MemcachedStore = require('connect-memjs')(express)
      return { store: new MemcachedStore({ client }) }
    },
  },
  {
    name: 'connect-memcached',
    kind: 'memcached',
    role: 'peer',
    driver: 'memcached alone',
    packages: ['connect-memcached', 'memcached'],
    open: async (place) => {
      const client = clientOfMemcached(place)
      const MemcachedStore = require('connect-memcached')(express)
      return { store: new MemcachedStore({ client }) }
    },
  },
  {
    name: 'memjs alone',
    kind: 'memcached',
    role: 'driver',
    packages: ['memjs'],
    open: async (place) => {
      const client = clientOfMemjs(place)
      const store: Store = {
        get: (id, callback) => client.get(id, (error, data) => answerParsed(callback, error, data?.toString())),
        set: (id, session, callback) =>
          client.set(id, JSON.stringify(session), { expires: secondsOf(session) }, (error) => callback(error)),
        destroy: (id, callback) => client.delete(id, (error) => callback(error)),
      }
      return { store }
    },
  },
  {
    name: 'memcached alone',
    kind: 'memcached',
    role: 'driver',
    packages: ['memcached'],
    open: async (place) => {
      const client = clientOfMemcached(place)
      const store: Store = {
        get: (id, callback) => client.get(id, (error, text) => answerParsed(callback, error, text)),
        set: (id, session, callback) => client.set(id, JSON.stringify(session), secondsOf(session), callback),
        destroy: (id, callback) => client.del(id, callback),
      }
      return { store }
    },
  },
]

function clientOfMemjs({ port }: Place): memjs.Client {
  // Silent: it would print each failure, and every one is seen by who called.
  return memjs.Client.create(`127.0.0.1:${port}`, { logger: { log: () => {} } })
}

/** What is used here of the driver `memcached`, which has no types of its own. */
interface MemcachedClient {
  get(key: string, callback: (error: unknown, text?: string) => void): void
  set(key: string, text: string, seconds: number, callback: (error?: unknown) => void): void
  del(key: string, callback: (error?: unknown) => void): void
}

function clientOfMemcached({ port }: Place): MemcachedClient {
  const Memcached = require('memcached')
  return new Memcached(`127.0.0.1:${port}`)
}

function secondsOf(session: StoredSession): number {
  return Math.max(1, Math.ceil(lifetimeOf(session) / 1000))
}
