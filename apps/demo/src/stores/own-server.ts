import { MemcachedServer } from '@session-stores/testing/memcached'
import { installedPostgres, PostgresServer, packagedPostgres } from '@session-stores/testing/postgres'
import { RedisServer } from '@session-stores/testing/redis'
import { findProgram } from '@session-stores/testing/unprivileged'
import { ConfigError } from '../config.ts'

export type ServerKind = 'redis' | 'postgres' | 'memcached'

/** A server that was started for the demo alone, on a free port of loopback. So the demo may break it. */
export interface OwnServer {
  /** It keeps its connections and answers nothing. */
  freeze(): void
  /** `kill -9`. */
  kill(): Promise<void>
  /** After either: it answers again. */
  bringBack(): Promise<void>
  /** Ends it, and removes what it kept. */
  stop(): Promise<void>
}

interface Kind {
  variable: string
  example: string
  program: string
  isThere(): boolean
  /** How to get it, on Debian or macOS. */
  package: string
  start(): Promise<{ url: string; server: OwnServer }>
}

const kinds: Record<ServerKind, Kind> = {
  redis: {
    variable: 'REDIS_URL',
    example: 'redis://127.0.0.1:6379',
    program: 'redis-server',
    isThere: () => findProgram('redis-server', []) !== undefined,
    package: 'redis',
    start: async () => {
      const server = await RedisServer.start()
      const controls = controlsOf(server, () => server.start())
      return { url: server.url, server: { ...controls, stop: () => server.stop() } }
    },
  },
  postgres: {
    variable: 'DATABASE_URL',
    example: 'postgres://user:password@127.0.0.1:5432/database',
    program: 'postgres',
    isThere: () => (installedPostgres() ?? packagedPostgres()) !== undefined,
    package: 'postgresql',
    start: async () => {
      const server = await PostgresServer.start({ from: installedPostgres() ? 'machine' : 'npm' })
      const controls = controlsOf(server, () => server.restart())
      return { url: server.url(), server: { ...controls, stop: () => server.dispose() } }
    },
  },
  memcached: {
    variable: 'MEMCACHED_SERVERS',
    example: '127.0.0.1:11211',
    program: 'memcached',
    isThere: () => findProgram('memcached', []) !== undefined,
    package: 'memcached',
    start: async () => {
      const server = await MemcachedServer.start()
      const controls = controlsOf(server, () => server.start())
      return { url: server.address, server: { ...controls, stop: () => server[Symbol.asyncDispose]() } }
    },
  },
}

/**
 * The server that the environment names, or one that is started for the demo alone and ends with it.
 * @throws ConfigError when there is neither
 */
export async function serverFor(
  kind: ServerKind,
  env: NodeJS.ProcessEnv,
): Promise<{ url: string; where: string; server?: OwnServer }> {
  const { variable, example, program, isThere, package: name, start } = kinds[kind]
  const url = env[variable]
  if (url) return { url, where: `on the server that ${variable} names` }
  if (!isThere()) {
    throw new ConfigError(
      `there is no ${program} here to start one: apt-get install ${name}, or brew install ${name}; ` +
        `or ${variable} says where a server is, as in ${example}`,
    )
  }
  const own = await start()
  return { ...own, where: `on a server of the demo's own, ${own.url}: they end with it` }
}

/** @param start also after a crash */
function controlsOf(
  server: { pause(): void; resume(): void; kill(): Promise<void> },
  start: () => Promise<void>,
): Omit<OwnServer, 'stop'> {
  let isKilled = false
  return {
    freeze: () => server.pause(),
    kill: async () => {
      isKilled = true
      await server.kill()
    },
    bringBack: async () => {
      if (isKilled) await start()
      else server.resume()
      isKilled = false
    },
  }
}
