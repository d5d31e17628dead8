// The one file that knows which store it is: everything else sees a SessionStore.
import { join } from 'node:path'
import { MemoryStore, type SessionStore, type StoreOptions } from '@session-stores/core'
import { SqliteStore } from '@session-stores/sqlite'
import type { Session } from 'fastify'
import { ConfigError, opening } from './config.ts'

export type { OperationContext, SessionStore } from '@session-stores/core'

export interface Setup {
  dataFolder: string
  env: NodeJS.ProcessEnv
}

export interface OpenedStore {
  store: SessionStore
  /** Closes the client that the store was given, for a store closes only what it opened itself. */
  closeClient(): unknown
}

// A driver is loaded only where its store is used.
const stores: Record<string, (setup: Setup) => OpenedStore | Promise<OpenedStore>> = {
  memory: () => opened(new MemoryStore(options)),

  sqlite: ({ dataFolder }) =>
    opened(opening(dataFolder, () => new SqliteStore({ path: join(dataFolder, 'sessions.sqlite'), ...options }))),

  redis: async ({ env }) => {
    const url = setting(env, 'REDIS_URL', 'redis://127.0.0.1:6379')
    const [{ Redis }, { RedisStore }] = await Promise.all([import('ioredis'), import('@session-stores/redis')])
    const client = new Redis(url)
    client.on('error', ignore)
    return opened(new RedisStore({ client, ...options }), () => client.disconnect())
  },

  postgres: async ({ env }) => {
    const connectionString = setting(env, 'DATABASE_URL', 'postgres://user:password@127.0.0.1:5432/database')
    const [{ Pool }, { PostgresStore }] = await Promise.all([import('pg'), import('@session-stores/postgres')])
    const pool = new Pool({ connectionString })
    pool.on('error', ignore)
    return opened(new PostgresStore({ pool, migrateOnFirstUse: true, ...options }), () => pool.end())
  },

  memcached: async ({ env }) => {
    const servers = setting(env, 'MEMCACHED_SERVERS', '127.0.0.1:11211')
    const [{ Client }, { MemcachedStore }] = await Promise.all([import('memjs'), import('@session-stores/memcached')])
    const client = Client.create(servers)
    return opened(new MemcachedStore({ client, ...options }), () => client.close())
  },
}

export const storeNames = Object.keys(stores)

/** Whose a session is, so that a user's sessions can be listed and ended. */
const options: StoreOptions = { userOf: (session: Session) => session.userId }

/** @throws ConfigError when there is no such store, or a setting it needs is missing */
export async function openStore(name: string, setup: Setup): Promise<OpenedStore> {
  const open = Object.hasOwn(stores, name) ? stores[name] : undefined
  if (!open) throw new ConfigError(`STORE must be one of ${storeNames.join(', ')}; got ${JSON.stringify(name)}`)
  return open(setup)
}

function setting(env: NodeJS.ProcessEnv, name: string, example: string): string {
  const value = env[name]
  if (!value) throw new ConfigError(`${name} must say where the server is, as in ${example}`)
  return value
}

/** A driver tells of a lost connection twice: here, and by the request that failed and is logged. The latter will do. */
function ignore(): void {}

function opened(store: SessionStore, closeClient: () => unknown = () => {}): OpenedStore {
  return { store, closeClient }
}
