// The recipe for health checks in docs/recipes.md, on a real server.
import { MemoryStore, type SessionStore } from '@session-stores/core'
import { RedisStore } from '@session-stores/redis'
import { until } from '@session-stores/testing'
import { RedisServer } from '@session-stores/testing/redis'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { describe, expect, test } from 'vitest'
import { logIn, sessions } from '../src/index.ts'
import { addHealthChecks } from './health-checks.ts'
import { SECRET } from './setup.ts'

/** How long it may take until the answer is the right one, in ms. */
const SOON = 1000

describe.skipIf(process.env.SKIP_REDIS === '1')('on Redis', () => {
  test.each([
    {
      outage: 'is killed',
      begin: (server: RedisServer) => server.kill(),
      end: (server: RedisServer) => server.start(),
    },
    { outage: 'hangs', begin: (server: RedisServer) => server.pause(), end: (server: RedisServer) => server.resume() },
  ])('not ready within a second of when Redis $outage, ready within a second of its return', async ({ begin, end }) => {
    await using server = await RedisServer.start('--appendonly', 'yes', '--appendfsync', 'always')
    const client = new Redis(server.url)
    client.on('error', () => {}) // /ready tells of it
    await using site = await Site.open(new RedisStore({ client }))
    const cookie = await site.logIn()
    expect(await site.status('/ready')).toBe(200)
    for (const round of [1, 2]) {
      await begin(server)
      await until(`not ready, round ${round}`, async () => (await site.status('/ready')) === 503, SOON)
      expect(await site.status('/user', cookie), 'no request reaches the store').toBe(503)
      expect(await site.status('/live')).toBe(200)
      await end(server)
      await until(`ready, round ${round}`, async () => (await site.status('/ready')) === 200, SOON)
      expect(await site.status('/user', cookie), 'nobody was logged out').toBe(200)
    }
    client.disconnect()
  })

  test('an application that starts during an outage becomes ready when it ends', async () => {
    await using server = await RedisServer.start()
    await server.kill()
    const client = new Redis(server.url)
    client.on('error', () => {})
    await using site = await Site.open(new RedisStore({ client }))
    expect(await site.status('/ready')).toBe(503)
    await server.start()
    await until('ready', async () => (await site.status('/ready')) === 200, SOON)
    client.disconnect()
  })
})

test('sessions in memory are always ready', async () => {
  await using site = await Site.open(new MemoryStore())
  expect(await site.status('/ready')).toBe(200)
  expect(await site.status('/live')).toBe(200)
})

class Site implements AsyncDisposable {
  readonly #base: string
  readonly #close: () => Promise<void>

  static async open(store: SessionStore): Promise<Site> {
    const app = Fastify()
    addHealthChecks(app, store)
    app.register(sessions, { store, secret: SECRET })
    app.post('/log-in', async (request) => {
      await logIn(request, { user: 'ada' })
      return 'ok'
    })
    app.get('/user', async ({ session }, reply) => reply.code(session.user === 'ada' ? 200 : 401).send())
    return new Site(await app.listen({ host: '127.0.0.1', port: 0 }), () => app.close())
  }

  private constructor(base: string, close: () => Promise<void>) {
    this.#base = base
    this.#close = close
  }

  /** The cookie of a user who has logged in. */
  async logIn(): Promise<string> {
    const response = await fetch(`${this.#base}/log-in`, { method: 'POST' })
    return response.headers.getSetCookie()[0]?.split(';')[0] ?? ''
  }

  async status(path: string, cookie = ''): Promise<number> {
    return (await fetch(`${this.#base}${path}`, { headers: { cookie } })).status
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }
}
