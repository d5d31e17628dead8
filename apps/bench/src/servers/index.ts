import { installedPostgres } from '@session-stores/testing/postgres'
import { findProgram } from '@session-stores/testing/unprivileged'
import type { Kind } from '../contestants/contestant.ts'
import { startMemcached } from './memcached.ts'
import { startPostgres } from './postgres.ts'
import { placeOn, startRedis } from './redis.ts'
import type { Server } from './server.ts'
import { startSqlite } from './sqlite.ts'

const start: Record<Kind, () => Promise<Server>> = {
  memory: startNothing,
  redis: startRedis,
  memcached: startMemcached,
  postgres: startPostgres,
  sqlite: startSqlite,
}

/** The program that is missing on this machine for a kind; undefined when all is there. */
export function missingFor(kind: Kind): string | undefined {
  if (kind === 'redis' || kind === 'memcached') {
    const program = kind === 'redis' ? 'redis-server' : 'memcached'
    return findProgram(program, []) ? undefined : program
  }
  return kind === 'postgres' && !installedPostgres() ? 'postgres' : undefined
}

/** What the servers that were started so far say that they are. */
export const serverVersions = new Set<string>()

/** Starts what sessions of these kinds are kept in; all of it ends with `stopServers`. */
export async function startServers(kinds: Iterable<Kind>): Promise<Map<Kind, Server>> {
  const servers = new Map<Kind, Server>()
  await Promise.all(Array.from(new Set(kinds), async (kind) => servers.set(kind, await start[kind]())))
  for (const { version } of servers.values()) if (version !== '') serverVersions.add(version)
  return servers
}

export async function stopServers(servers: Map<Kind, Server>): Promise<void> {
  await Promise.all(Array.from(servers.values(), (server) => server.stop()))
}

/** Sessions in the memory of the application: there is no server to ask, and they end with their process. */
async function startNothing(): Promise<Server> {
  const unseen = async () => {}
  return {
    version: '',
    port: 0,
    pid: undefined,
    placeFor: async () => placeOn(0),
    clear: unseen,
    dump: async () => '',
    spoil: unseen,
    size: async () => Number.NaN,
    outages: [],
    stop: unseen,
  }
}
