import { MemcachedServer } from '@session-stores/testing/memcached'
import { PostgresServer } from '@session-stores/testing/postgres'
import { RedisServer } from '@session-stores/testing/redis'
import type { Address } from './quick-start.ts'

/** What a user of a package has besides: its driver, and that one's types where it has none of its own. */
export interface StoreUse {
  driver?: string
  /** For a driver that not every user needs: a program that does, and fails without it. */
  needsDriver?: string
  types: string[]
  /** The store that the program on its page uses, by folder, where the package is none. */
  store?: string
  /** Whether it is a program that is run, and not imported: it has no types, and no program on its page. */
  isProgram?: boolean
}

/** What is published, by folder. */
export const stores: Record<string, StoreUse> = {
  cli: { types: [], isProgram: true },
  core: { types: [] },
  fastify: { types: [], store: 'sqlite' },
  memcached: { driver: 'memjs', types: ['@types/memjs'] },
  otel: { types: [] },
  postgres: { driver: 'pg', types: ['@types/pg'] },
  redis: { driver: 'ioredis', types: [] },
  sqlite: {
    driver: 'better-sqlite3',
    needsDriver: "new (require('@session-stores/sqlite').SqliteStore)({ path: ':memory:' })",
    types: [],
  },
}

/** The server that the program on a store's page talks to: where the page says it is, and where it is here. */
export async function serverFor(short: string): Promise<{ addresses: Address[]; stop(): Promise<void> }> {
  if (short === 'redis') {
    const server = await RedisServer.start()
    return { addresses: [{ said: /redis:\/\/[^'"]+/, is: server.url }], stop: () => server.stop() }
  }
  if (short === 'memcached') {
    const server = await MemcachedServer.start()
    return { addresses: [{ said: /[\w.]+:11211/, is: server.address }], stop: () => server.stop() }
  }
  if (short === 'postgres') {
    const server = await PostgresServer.start()
    return { addresses: [{ said: /postgres(ql)?:\/\/[^'"]+/, is: server.url() }], stop: () => server.dispose() }
  }
  return { addresses: [], stop: async () => undefined }
}
