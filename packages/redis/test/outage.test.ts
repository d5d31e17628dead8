import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Browser, buildApp, freePort, until } from '@session-stores/testing'
import { RedisServer } from '@session-stores/testing/redis'
import type { Redis } from 'ioredis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { RedisStore } from '../src/index.ts'
import { drivers, ioredis } from './drivers.ts'
import { FaultyProxy } from './proxy.ts'
import { Stalls } from './stalls.ts'

/** The default deadline, and what the issue allows on top, in ms. */
const DEADLINE = 2000 + 100

async function startServer(...options: string[]): Promise<RedisServer> {
  const server = await RedisServer.start(...options)
  onTestFinished(() => server.stop())
  return server
}

async function throughProxy(server: RedisServer): Promise<FaultyProxy> {
  const proxy = await FaultyProxy.to(server)
  onTestFinished(() => proxy[Symbol.asyncDispose]())
  return proxy
}

/** A server that has all it acknowledged when it is started again. */
const startDurable = () => startServer('--appendonly', 'yes', '--appendfsync', 'always')

/** The application of the plugin cases over this client, and somebody who is logged in. */
async function startApp(client: Redis) {
  const app = buildApp(new RedisStore({ client }))
  onTestFinished(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  return new Browser(app)
}

async function logIn(client: Redis): Promise<Browser> {
  const browser = await startApp(client)
  await browser.post('/login/ada')
  return browser
}

/** @returns with the time that the request took, less what this process was not given by a busy machine */
async function timed(browser: Browser, method: string, path: string) {
  const stalls = new Stalls()
  const begun = performance.now()
  const response = await browser.request(method, path)
  const body: unknown = await response.json()
  stalls.stop()
  return { response, body, ms: performance.now() - begun - stalls.total, stalled: stalls.total }
}

/** Requests of every kind, one after the other and at once, while sessions cannot be reached. */
async function expectOutage(browser: Browser): Promise<void> {
  const kinds = [
    ['GET', '/me'],
    ['POST', '/set/a/1'],
    ['POST', '/login/eve'],
    ['POST', '/logout'],
  ] as const
  const ask = async (method: string, path: string) => {
    const { response, body, ms, stalled } = await timed(browser, method, path)
    expect({ path, status: response.status, body }).toEqual({
      path,
      status: 503,
      body: {
        statusCode: 503,
        code: 'SESSION_STORE_UNAVAILABLE',
        error: 'Service Unavailable',
        message: expect.stringMatching(/^the redis session store is unavailable: /),
      },
    })
    expect(response.headers.getSetCookie(), 'nobody is logged out').toEqual([])
    expect(ms, `${method} ${path}`).toBeLessThan(DEADLINE)
    return { ms, all: ms + stalled }
  }
  const first = await Promise.all(kinds.map(([method, path]) => ask(method, path)))
  expect(Math.max(...first.map(({ all }) => all)), 'it was worth waiting for').toBeGreaterThan(1500)
  for (const [method, path] of kinds) {
    expect((await ask(method, path)).ms, 'known to be down').toBeLessThan(500)
  }
}

/** The very next request works, and the session is what it was. Only one for which the machine had no time may be repeated. */
async function expectRecovery(browser: Browser, session: object = { user: 'ada' }): Promise<void> {
  const { response, body, stalled } = await timed(browser, 'GET', '/me')
  if (response.status === 503 && stalled > 20) return expectRecovery(browser, session)
  expect({ status: response.status, body }).toEqual({ status: 200, body: session })
}

describe.each(drivers)('$name', ({ redis }) => {
  test('a server that is paused', async () => {
    const server = await startServer()
    const browser = await logIn(redis(server))
    server.pause()
    await expectOutage(browser)
    server.resume()
    await server.cli('PING') // it has come to itself
    await expectRecovery(browser)
  })

  test('a server that is killed, and comes back with its data', async () => {
    const server = await startDurable()
    const browser = await logIn(redis(server))
    await server.kill()
    await expectOutage(browser)
    await server.start()
    await expectRecovery(browser)
  })

  test('a server that is killed, and comes back empty', async () => {
    const server = await startServer()
    const browser = await logIn(redis(server))
    await server.kill()
    await expectOutage(browser)
    await server.start()
    await expectRecovery(browser, {})
    await browser.post('/login/ada')
    await browser.post('/set/a/1')
    await expectRecovery(browser, { user: 'ada', a: '1' })
  })

  test('a server that is killed while it is paused', async () => {
    const server = await startDurable()
    const browser = await logIn(redis(server))
    server.pause()
    await expectOutage(browser)
    await server.kill()
    await server.start()
    await expectRecovery(browser)
  })

  test('a server that cannot be reached from the start: something listens and never answers', async () => {
    const port = await freePort()
    const silent = createServer().listen(port, '127.0.0.1')
    const sockets = new Set<{ destroy(): void }>()
    silent.on('connection', (socket) => sockets.add(socket.on('error', () => {})))
    const elsewhere = await logIn(redis(await startServer()))
    const browser = await startApp(redis({ port }))
    browser.cookie = elsewhere.cookie
    await expectOutage(browser)
    silent.close()
    for (const socket of sockets) socket.destroy()
    const server = await RedisServer.startOn(port)
    onTestFinished(() => server.stop())
    await expectRecovery(browser, {})
    await browser.post('/login/ada')
    await expectRecovery(browser)
  })

  test('a line that goes dead without a word, while new connections work: no request fails', async () => {
    const proxy = await throughProxy(await startServer())
    const browser = await logIn(redis(proxy))
    proxy.goSilent()
    const answers = await Promise.all(Array.from({ length: 20 }, () => timed(browser, 'GET', '/me')))
    for (const { response, body, ms } of answers) {
      expect({ status: response.status, body }).toEqual({ status: 200, body: { user: 'ada' } })
      expect(ms).toBeLessThan(DEADLINE)
    }
    await expectRecovery(browser)
  })

  test('a network that swallows everything', async () => {
    const proxy = await throughProxy(await startServer())
    const browser = await logIn(redis(proxy))
    proxy.swallowAll()
    await expectOutage(browser)
    proxy.mend()
    const stalls = new Stalls()
    const begun = performance.now()
    await expect
      .poll(async () => (await timed(browser, 'GET', '/me')).response.status, { timeout: 10_000, interval: 20 })
      .toBe(200)
    stalls.stop()
    expect(performance.now() - begun - stalls.total).toBeLessThan(DEADLINE)
  })

  test('a server that became a replica, while its name leads to the new master', async () => {
    const [old, next] = [await startServer(), await startServer()]
    const proxy = await throughProxy(old)
    const browser = await logIn(redis(proxy))
    await next.cli('REPLICAOF', '127.0.0.1', `${old.port}`)
    await until('the replica is in step', async () => /link_status:up/.test(await next.cli('INFO', 'replication')))
    await next.cli('REPLICAOF', 'NO', 'ONE')
    await old.cli('REPLICAOF', '127.0.0.1', `${next.port}`)
    proxy.target = next
    await browser.post('/set/a/1') // over the connection there is, to the old master
    await expectRecovery(browser, { user: 'ada', a: '1' })
    expect(proxy.size, 'the client’s and the store’s').toBe(2)
  })
})

test.each(drivers)('also what goes over all sessions ends by the deadline: $name', async ({ redis }) => {
  const server = await startServer()
  const store = new RedisStore({ client: redis(server) })
  await store.set('id', {})
  server.pause()
  const stalls = new Stalls()
  const begun = performance.now()
  const attempts = [store.count(), store.clear(), store.scan().next()]
  await Promise.all(attempts.map((each) => expect(each).rejects.toMatchObject({ statusCode: 503 })))
  stalls.stop()
  expect(performance.now() - begun - stalls.total).toBeLessThan(DEADLINE)
  server.resume()
  await server.cli('PING')
  expect(await store.count()).toBe(1)
})

describe('an outage that the client is slow to see the end of', () => {
  /** By itself the client would be back in a minute. */
  const retryStrategy = () => 60_000

  test('sessions are back at once, and the client is left alone', async () => {
    const server = await startDurable()
    const attempts: number[] = []
    const client = ioredis.redis(server, { retryStrategy: (times: number) => attempts.push(times) * 60_000 })
    const browser = await logIn(client)
    await server.kill()
    await expectOutage(browser)
    await server.start()
    await expectRecovery(browser)
    expect(client.status).toBe('reconnecting')
    expect(attempts).toEqual([1])
  })

  test('the first request after a quiet outage works', async () => {
    const server = await startDurable()
    const client = ioredis.redis(server, { retryStrategy })
    const browser = await logIn(client)
    await server.kill()
    await expect.poll(() => client.status).toBe('reconnecting')
    await server.start()
    await expectRecovery(browser)
  })

  test.each(drivers)('also without an offline queue, and for all requests of that moment: $name', async ({ redis }) => {
    const server = await startDurable()
    const client = redis(server, { enableOfflineQueue: false, lazyConnect: true })
    const browser = await logIn(client)
    await server.kill()
    await expectOutage(browser)
    await server.start()
    const answers = Array.from({ length: 20 }, async (_, n) => {
      await sleep(n)
      await expectRecovery(browser)
    })
    await Promise.all(answers)
  })

  test('a request that meets a short one waits for its end', async () => {
    const server = await startDurable()
    const browser = await logIn(ioredis.redis(server, { retryStrategy }))
    await server.kill()
    const answer = timed(browser, 'GET', '/me')
    await sleep(500)
    await server.start()
    expect((await answer).body).toEqual({ user: 'ada' })
  })

  test('so does a ping', async () => {
    const server = await startServer()
    const store = new RedisStore({ client: ioredis.redis(server, { enableOfflineQueue: false }) })
    await store.ping() // it has not connected yet
    server.pause()
    const answer = store.ping()
    await sleep(600)
    server.resume()
    await answer
  })

  test('what failed is not done later, behind everybody’s back', async () => {
    const server = await startServer()
    const store = new RedisStore({ client: ioredis.redis(server, { retryStrategy }) })
    await store.ping()
    await server.kill()
    const saves = Array.from({ length: 20 }, (_, n) => store.set(`id${n}`, {}))
    await Promise.all(saves.map((save) => expect(save).rejects.toMatchObject({ statusCode: 503 })))
    await server.start()
    await store.set('id', {})
    expect(await server.cli('DBSIZE')).toBe('1')
  })
})

describe('an event loop that stands still for 3 s', () => {
  function standStill(): void {
    const end = performance.now() + 3000
    while (performance.now() < end);
  }

  test.each(drivers)('while answers are due: $name', async ({ redis }) => {
    const store = new RedisStore({ client: redis(await startServer()) })
    await store.set('id', {})
    const answers = Array.from({ length: 20 }, () => store.get('id'))
    standStill()
    for (const answer of await Promise.all(answers)) expect(answer).not.toBeNull()
  })

  test.each(drivers)('while the connection is being made: $name', async ({ redis }) => {
    const store = new RedisStore({ client: redis(await startServer()) })
    const answers = Array.from({ length: 20 }, (_, n) => store.set(`id${n}`, {}))
    standStill()
    await Promise.all(answers)
  })
})
