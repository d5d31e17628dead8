import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { SessionStore } from '@session-stores/core'
import { MemcachedStore } from '@session-stores/memcached'
import { PostgresStore } from '@session-stores/postgres'
import { RedisStore } from '@session-stores/redis'
import { SqliteStore } from '@session-stores/sqlite'
import { Browser, buildApp, dataFolder, removeFolder } from '@session-stores/testing'
import { MemcachedServer } from '@session-stores/testing/memcached'
import { PostgresServer } from '@session-stores/testing/postgres'
import { RedisServer } from '@session-stores/testing/redis'
import { Redis } from 'ioredis'
import memjs from 'memjs'
import pg from 'pg'
import { onTestFinished } from 'vitest'

/** The program as it is published. */
export const program = join(import.meta.dirname, '../dist/main.js')

export interface Outcome {
  code: number | null
  stdout: string
  stderr: string
}

interface How {
  env?: Record<string, string>
  /** What is typed. */
  input?: string
  cwd?: string
}

/** Runs the program in a process of its own, without NODE_PATH, by which pnpm lets commands find what is not installed here. */
export async function cli(
  args: string[],
  { env = {}, input = '', cwd = import.meta.dirname }: How = {},
): Promise<Outcome> {
  const child = spawn(process.execPath, [program, ...args], { cwd, env: { ...process.env, NODE_PATH: '', ...env } })
  const outcome: Outcome = { code: null, stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text) => {
    outcome.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    outcome.stderr += text
  })
  child.stdin.on('error', () => {}) // it asked nothing, and is gone
  child.stdin.end(input)
  const [code] = await once(child, 'close')
  return { ...outcome, code }
}

/** A server or a file, the arguments that lead to it, and a store on it as an application has one. */
export interface Place {
  args: string[]
  openStore(options?: object): SessionStore
  stop(): unknown
}

/** The user of a session of the tests' application. */
const userOf = ({ user }: { user?: string }) => user

export const places: Record<'redis' | 'postgres' | 'sqlite' | 'memcached', () => Promise<Place>> = {
  async redis() {
    const server = await RedisServer.start()
    const client = new Redis(server.url, { lazyConnect: true })
    return {
      args: ['--redis', server.url],
      openStore: (options) => new RedisStore({ client, userOf, ...options }),
      async stop() {
        client.disconnect()
        await server.stop()
      },
    }
  },

  async postgres() {
    const server = await PostgresServer.start()
    const pool = new pg.Pool({ connectionString: server.url() })
    pool.on('error', () => {})
    return {
      args: ['--postgres', server.url()],
      openStore: (options) => new PostgresStore({ pool, userOf, migrateOnFirstUse: true, ...options }),
      async stop() {
        await pool.end()
        await server.dispose()
      },
    }
  },

  async sqlite() {
    const folder = dataFolder('cli')
    const path = join(folder, 'sessions.sqlite')
    return {
      args: ['--sqlite', path],
      openStore: (options) => new SqliteStore({ path, userOf, ...options }),
      stop: () => removeFolder(folder),
    }
  },

  async memcached() {
    const server = await MemcachedServer.start()
    return {
      args: ['--memcached', server.address],
      openStore: (options) => new MemcachedStore({ client: memjs.Client.create(server.address), ...options }),
      stop: () => server.kill(),
    }
  },
}

/** Which of them are not left out on this machine. */
export function isHere(name: string): boolean {
  return process.env[`SKIP_${name.toUpperCase()}`] !== '1'
}

/** A Fastify application with these sessions, until the test ends. */
export async function startApp(store: SessionStore): Promise<{ logIn(user: string): Promise<Visitor> }> {
  const app = buildApp(store)
  await app.listen({ port: 0, host: '127.0.0.1' })
  onTestFinished(() => app.close())
  return {
    async logIn(user) {
      const browser = new Browser(app)
      await browser.post(`/login/${user}`)
      await browser.post('/set/colour/green')
      const [sessionId = ''] = decodeURIComponent(browser.cookie ?? '')
        .replace(/^[^=]*=/, '')
        .split('.')
      return {
        sessionId,
        handle: store.handleOf(sessionId),
        isLoggedIn: async () => (await browser.get('/me')).user === user,
      }
    },
  }
}

export interface Visitor {
  sessionId: string
  handle: string
  isLoggedIn(): Promise<boolean>
}

/** The JSON values that were printed, a line each. */
export function valuesOf({ stdout }: Outcome): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}
