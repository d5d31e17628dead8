import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import type { SessionStore, StoreOptions } from '@session-stores/core'
import type { SqliteDatabase } from '@session-stores/sqlite'
import type { Target } from './arguments.ts'
import { UsageError } from './errors.ts'

/** How long a call may take, in ms: a tool can wait longer than a request. */
const TIMEOUT = 5000

export interface OpenedStore {
  store: SessionStore
  /** Only for Postgres. */
  migrate?: () => Promise<void>
  close(): Promise<void>
}

/** What tells the store nothing: no session is ever saved here, but those of users can be listed and ended. */
const userOf = () => undefined

/** Loads a package of the application's. */
export type Load = <T>(name: string) => T

/**
 * Packages as the application in this folder would load them: its own versions, and its drivers.
 * @throws UsageError when a package is not there
 */
export function loaderFor(folder: string): Load {
  const require = createRequire(join(folder, 'package.json'))
  return <T>(name: string): T => {
    try {
      return require(name) as T
    } catch (error) {
      if (!isMissing(error, name)) throw error
      throw new UsageError(`${name} is not installed in ${folder}: run this in the application's folder`)
    }
  }
}

/** Opens the store with what is installed in the folder. Nothing is made that is not there. */
export function openStore(target: Target, folder: string): OpenedStore {
  const load = loaderFor(folder)
  const options: StoreOptions = {
    timeout: TIMEOUT,
    pruneInterval: false,
    userOf,
    // Sessions from before sealing was switched on are to be seen, too. Nothing of them is acted on.
    ...(target.keys && { encryptionKeys: target.keys, acceptPlaintext: true }),
  }
  switch (target.store) {
    case 'redis':
      return openRedis(target, options, load)
    case 'postgres':
      return openPostgres(target, options, load)
    case 'sqlite':
      return openSqlite(target, options, load, folder)
    case 'memcached':
      return openMemcached(target, options, load)
  }
}

function openRedis({ where, prefix, cluster }: Target, options: StoreOptions, load: Load): OpenedStore {
  const { RedisStore } = load<typeof import('@session-stores/redis')>('@session-stores/redis')
  const { Redis, Cluster } = load<typeof import('ioredis')>('ioredis')
  // The store has a connection of its own; this one is not needed.
  const one = new Redis(where, { lazyConnect: true })
  const { username, password, tls } = one.options
  const client = cluster
    ? new Cluster([where], {
        lazyConnect: true,
        redisOptions: { ...(username && { username }), ...(password && { password }), ...(tls && { tls }) },
      })
    : one
  client.on('error', ignore)
  const store = new RedisStore({ client, prefix, ...options })
  return {
    store,
    async close() {
      await store.close()
      client.disconnect()
    },
  }
}

function openPostgres({ where, table, schema }: Target, options: StoreOptions, load: Load): OpenedStore {
  const { PostgresStore } = load<typeof import('@session-stores/postgres')>('@session-stores/postgres')
  const { Pool } = load<typeof import('pg')>('pg')
  const pool = new Pool({
    connectionString: where,
    max: 2,
    connectionTimeoutMillis: TIMEOUT,
    application_name: 'session-stores',
  })
  pool.on('error', ignore)
  const store = new PostgresStore({ pool, table, schema, ...options })
  return {
    store,
    migrate: () => store.migrate(),
    async close() {
      await store.close()
      await pool.end()
    },
  }
}

/** Given to the store as a database, which it leaves as it is: with a path it would switch the write-ahead log on. */
function openSqlite({ where }: Target, options: StoreOptions, load: Load, folder: string): OpenedStore {
  const file = resolve(folder, where)
  if (!existsSync(file)) throw new UsageError(`${file} is not there`)
  const { SqliteStore } = load<typeof import('@session-stores/sqlite')>('@session-stores/sqlite')
  const database = openDatabase(file, load)
  const store = new SqliteStore({ database, ...options })
  return {
    store,
    async close() {
      await store.close()
      database.close()
    },
  }
}

function openDatabase(file: string, load: Load): SqliteDatabase {
  try {
    return new (load<typeof import('better-sqlite3')>('better-sqlite3'))(file, { timeout: 100 })
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    const { DatabaseSync } = load<typeof import('node:sqlite')>('node:sqlite')
    return new DatabaseSync(file, { timeout: 100 })
  }
}

function openMemcached({ where, prefix }: Target, options: StoreOptions, load: Load): OpenedStore {
  const { MemcachedStore } = load<typeof import('@session-stores/memcached')>('@session-stores/memcached')
  const { Client } = load<typeof import('memjs')>('memjs')
  const client = Client.create(where)
  const { userOf: _, ...rest } = options // it cannot know sessions by user
  const store = new MemcachedStore({ client, prefix, ...rest })
  return {
    store,
    async close() {
      await store.close()
      client.close()
    },
  }
}

function isMissing(error: unknown, name: string): boolean {
  const { code, message } = error as NodeJS.ErrnoException
  return code === 'MODULE_NOT_FOUND' && message.includes(`'${name}'`)
}

/** A driver tells of a lost connection twice: here, and by the call that failed. */
function ignore(): void {}
