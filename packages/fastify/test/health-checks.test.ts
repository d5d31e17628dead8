// The recipe for health checks in docs/recipes.md, on a real server.
import { MemoryStore, type SessionStore } from '@session-stores/core'
import { RedisStore } from '@session-stores/redis'
import { until } from '@session-stores/testing'
import { RedisServer } from '@session-stores/testing/redis'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { logIn, sessions } from '../src/index.ts'
import { addHealthChecks } from './health-checks.ts'
import { type Browser, SECRET, Site } from './setup.ts'

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
  ])('not ready within a second of when it $outage, ready within a second of its return', async ({ begin, end }) => {
    const { server, site } = await openOnRedis()
    const [browser, probe] = [site.browser(), site.browser()]
    await browser.post('/log-in')
    expect(await statusOf(probe, '/ready')).toBe(200)
    for (const round of [1, 2]) {
      await begin(server)
      await soon(`not ready, round ${round}`, async () => (await statusOf(probe, '/ready')) === 503)
      await soon(`requests are refused at once, round ${round}`, () => site.app.isUnderPressure())
      expect(await browser.get('/user')).toMatchObject({ status: 503, body: expect.stringContaining('UNDER_PRESSURE') })
      expect(await statusOf(probe, '/live')).toBe(200)
      await end(server)
      await soon(`ready, round ${round}`, async () => (await statusOf(probe, '/ready')) === 200)
      expect((await browser.get('/user')).body).toBe('ada')
    }
  })

  test('an application that starts during an outage is ready within a second of its end', async () => {
    const { server, site } = await openOnRedis(async (server) => server.kill())
    const probe = site.browser()
    expect(await statusOf(probe, '/ready')).toBe(503)
    await server.start()
    await soon('ready', async () => (await statusOf(probe, '/ready')) === 200)
  })
})

test('sessions in memory are ready from the start', async () => {
  const browser = (await open(new MemoryStore())).browser()
  expect(await statusOf(browser, '/ready')).toBe(200)
  expect(await statusOf(browser, '/live')).toBe(200)
})

async function openOnRedis(before?: (server: RedisServer) => Promise<void>) {
  const server = await RedisServer.start('--appendonly', 'yes', '--appendfsync', 'always')
  onTestFinished(() => server.stop())
  await before?.(server)
  const client = new Redis(server.url)
  client.on('error', () => {}) // the answers tell of it
  onTestFinished(() => client.disconnect())
  return { server, site: await open(new RedisStore({ client })) }
}

async function open(store: SessionStore): Promise<Site> {
  const app = Fastify()
  addHealthChecks(app, store)
  app.register(sessions, { store, secret: SECRET })
  app.post('/log-in', async (request) => {
    await logIn(request, { user: 'ada' })
    return 'ok'
  })
  app.get('/user', async ({ session }) => session.user ?? 'nobody')
  onTestFinished(() => app.close())
  return new Site(app, await app.listen({ host: '127.0.0.1', port: 0 }))
}

/** Polls, and counts the time that the last answer took as well. */
async function soon(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  const begun = performance.now()
  await until(what, check, SOON)
  expect(performance.now() - begun, what).toBeLessThan(SOON)
}

async function statusOf(browser: Browser, path: string): Promise<number> {
  return (await browser.get(path)).status
}
