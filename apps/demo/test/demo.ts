import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemcachedServer } from '@session-stores/testing/memcached'
import { PostgresServer } from '@session-stores/testing/postgres'
import { RedisServer } from '@session-stores/testing/redis'
import type { FastifyInstance } from 'fastify'
import { afterAll, afterEach, beforeAll, beforeEach, vi } from 'vitest'
import { type AppOptions, buildApp } from '../src/app.ts'
import { Passwords } from '../src/passwords.ts'
import { type OpenedStore, openStore, type StoreSettings } from '../src/stores/index.ts'
import { Users } from '../src/users.ts'

export const MINUTE = 60_000
export const IDLE = 15 * MINUTE
export const ABSOLUTE = 8 * 60 * MINUTE
export const PASSWORD = 'correct horse battery'

/** What a password costs in tests: next to nothing. */
const CHEAP = { ln: 4, r: 8, p: 1 }

export interface StoreCase {
  name: string
  /** Whether sessions outlive the process. */
  lasting: boolean
  /** Starts the server the store needs. */
  serve?: () => Promise<Served>
}

export interface Served extends AsyncDisposable {
  /** The settings that lead there. */
  env: NodeJS.ProcessEnv
}

export const memory: StoreCase = { name: 'memory', lasting: false }
export const sqlite: StoreCase = { name: 'sqlite', lasting: true }
export const redis: StoreCase = {
  name: 'redis',
  lasting: true,
  serve: () => served(RedisServer.start(), ({ url }) => ({ REDIS_URL: url })),
}

export const stores: StoreCase[] = [
  memory,
  sqlite,
  redis,
  {
    name: 'postgres',
    lasting: true,
    serve: async () => {
      const server = await PostgresServer.start()
      return { env: { DATABASE_URL: server.url() }, [Symbol.asyncDispose]: () => server.dispose() }
    },
  },
  {
    name: 'memcached',
    lasting: true,
    serve: () => served(MemcachedServer.start(), ({ address }) => ({ MEMCACHED_SERVERS: address })),
  },
].filter(isTested)

export function isTested({ name }: StoreCase): boolean {
  return process.env[`SKIP_${name.toUpperCase()}`] !== '1'
}

async function served<Server extends AsyncDisposable>(
  starting: Promise<Server>,
  env: (server: Server) => NodeJS.ProcessEnv,
): Promise<Served> {
  const server = await starting
  return { env: env(server), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

export interface Demo {
  app: FastifyInstance
  sessions: OpenedStore
  users: Users
  close(): Promise<void>
}

/** Runs the demo in the tests of this file, each in a folder of its own. */
export function demos() {
  let folder: string
  let running: Demo[]
  let server: Served | undefined

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'demo-test-'))
    running = []
  })

  afterEach(async () => {
    vi.useRealTimers()
    for (const demo of running) await demo.close()
    rmSync(folder, { recursive: true })
  })

  /** In a `describe`: its tests share the server that the store needs. */
  function serve(store: StoreCase): void {
    beforeAll(async () => {
      server = await store.serve?.()
    })
    afterAll(async () => {
      await server?.[Symbol.asyncDispose]()
      server = undefined
    })
  }

  /** The demo as main.ts puts it together. A second one in the same test is the first one restarted. */
  async function start(
    store: StoreCase,
    options: Partial<AppOptions> = {},
    settings: Partial<StoreSettings> = {},
  ): Promise<Demo> {
    const sessions = await openStore({ store: store.name, dataFolder: folder, ...settings }, server?.env ?? {})
    const users = new Users(join(folder, 'users.sqlite'), new Passwords(CHEAP))
    const app = buildApp(sessions, {
      users,
      secret: 'a secret of the tests, 32 or more',
      idleTimeout: IDLE,
      absoluteTimeout: ABSOLUTE,
      trustProxy: false,
      attemptsPerMinute: 1000,
      ...options,
    })
    await app.ready()
    let closed: Promise<void> | undefined
    const demo = {
      app,
      sessions,
      users,
      close: () => {
        closed ??= app.close().then(async () => {
          await sessions.close()
          users.close()
        })
        return closed
      },
    }
    running.push(demo)
    return demo
  }

  return { start, serve }
}
