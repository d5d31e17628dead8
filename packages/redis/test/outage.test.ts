import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Browser, buildApp, freePort, until } from '@session-stores/testing'
import { RedisServer } from '@session-stores/testing/redis'
import type { Redis } from 'ioredis'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { RedisStore } from '../src/index.ts'
import { drivers, ioredis } from './drivers.ts'
import { Line } from './line.ts'
import { Stalls } from './stalls.ts'

/** The default deadline, and what the issue allows on top, in ms. */
const DEADLINE = 2000 + 100

async function startServer(...options: string[]): Promise<RedisServer> {
  const server = await RedisServer.start(...options)
  onTestFinished(() => server.stop())
  return server
}

/** ioredis would ask a server that happens to be loading again after a second. */
const maxLoadingRetryTime = 20

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
    const browser = await logIn(redis(server, { maxLoadingRetryTime }))
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
    const browser = await logIn(redis(server, { maxLoadingRetryTime }))
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

  test('a line that goes dead without a word, while new connections work', async () => {
    const server = await startServer()
    const line = await Line.to(server)
    onTestFinished(() => line[Symbol.asyncDispose]())
    const browser = await logIn(redis(line))
    line.goDead()
    const stalls = new Stalls()
    const begun = performance.now()
    await expect
      .poll(async () => (await timed(browser, 'GET', '/me')).response.status, { timeout: 10_000, interval: 50 })
      .toBe(200)
    stalls.stop()
    expect(performance.now() - begun - stalls.total).toBeLessThan(2 * DEADLINE)
    await expectRecovery(browser)
  })

  test('a network that swallows everything', async () => {
    const server = await startServer()
    const line = await Line.to(server)
    onTestFinished(() => line[Symbol.asyncDispose]())
    const browser = await logIn(redis(line))
    line.swallowAll()
    await expectOutage(browser)
    line.mend()
    const stalls = new Stalls()
    const begun = performance.now()
    await expect
      .poll(async () => (await timed(browser, 'GET', '/me')).response.status, { timeout: 10_000, interval: 20 })
      .toBe(200)
    stalls.stop()
    expect(performance.now() - begun - stalls.total).toBeLessThan(DEADLINE)
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

describe('what a long outage does to the client', () => {
  test('sessions are back at once though the client would have waited another minute, and it tries no more often', async () => {
    const server = await startDurable()
    const attempts: number[] = []
    const client = ioredis.redis(server, {
      maxLoadingRetryTime,
      retryStrategy(times: number) {
        attempts.push(times)
        return 60_000
      },
    })
    const browser = await logIn(client)
    await server.kill()
    await expectOutage(browser)
    expect(client.status).toBe('reconnecting')
    await server.start()
    await expectRecovery(browser)
    expect(attempts).toEqual([1])
  })

  test('the first request after a quiet outage works', async () => {
    const server = await startDurable()
    const client = ioredis.redis(server, { retryStrategy: () => 60_000, maxLoadingRetryTime })
    const browser = await logIn(client)
    await server.kill()
    await expect.poll(() => client.status).toBe('reconnecting')
    await server.start()
    await expectRecovery(browser)
  })

  test.each(drivers)('also without an offline queue, and for all requests of that moment: $name', async ({ redis }) => {
    const server = await startDurable()
    const client = redis(server, { enableOfflineQueue: false, lazyConnect: true, maxLoadingRetryTime })
    const browser = await logIn(client) // it has not connected yet
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
    const browser = await logIn(ioredis.redis(server, { retryStrategy: () => 60_000, maxLoadingRetryTime }))
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

  test('a client that is back by itself is not kept waiting by the attempt to help it', async () => {
    const server = await startServer()
    const line = await Line.to(server)
    onTestFinished(() => line[Symbol.asyncDispose]())
    const client = ioredis.redis(line, { retryStrategy: () => 300 })
    const store = new RedisStore({ client })
    await store.set('id', {})
    line.swallowAll()
    client.stream.destroy()
    await expect.poll(() => client.status).toBe('reconnecting')
    const stalls = new Stalls()
    const begun = performance.now()
    const answer = store.get('id') // its spare connection is swallowed
    await sleep(100)
    line.mend()
    expect(await answer).not.toBeNull()
    stalls.stop()
    expect(performance.now() - begun - stalls.total).toBeLessThan(900)
  })

  test('what failed is not done later, behind everybody’s back', async () => {
    const server = await startServer()
    const client = ioredis.redis(server, { retryStrategy: () => 60_000 })
    const store = new RedisStore({ client })
    await store.ping()
    await server.kill()
    await expect.poll(() => client.status).toBe('reconnecting')
    const saves = Array.from({ length: 20 }, (_, n) => store.set(`id${n}`, {}))
    await Promise.all(saves.map((save) => expect(save).rejects.toMatchObject({ statusCode: 503 })))
    await server.start()
    await store.set('id', {})
    expect(await server.cli('DBSIZE')).toBe('1')
  })

  describe('a client that its owner closed stays closed', () => {
    const isClosed = { statusCode: 503, cause: { message: 'Connection is closed.' } }

    test('while it was connected', async () => {
      const server = await startServer()
      const client = ioredis.redis(server)
      const store = new RedisStore({ client })
      await store.set('id', {})
      client.disconnect()
      await expect.poll(() => client.status).toBe('end')
      await expect(store.get('id')).rejects.toMatchObject(isClosed)
      await expect(store.ping()).rejects.toMatchObject({ statusCode: 503 })
      expect(client.status).toBe('end')
    })

    test.each(drivers)('while it was waiting to connect: $name', async ({ redis }) => {
      const server = await startServer()
      const client = redis(server, { retryStrategy: () => 60_000 })
      const store = new RedisStore({ client })
      await store.set('id', {})
      await server.kill()
      await expect.poll(() => client.status).toBe('reconnecting')
      client.disconnect()
      await server.start()
      await expect(store.get('id')).rejects.toMatchObject(isClosed)
      await expect(store.ping()).rejects.toMatchObject({ statusCode: 503 })
      expect(client.status).toBe('reconnecting') // so ioredis leaves it
    })

    test.each(drivers)('after the store connected it before its time had come: $name', async ({ redis }) => {
      const server = await startServer()
      const client = redis(server, { retryStrategy: () => 1500 })
      const store = new RedisStore({ client })
      for (let outage = 1; outage <= 2; outage += 1) {
        await store.set('id', {})
        await server.kill()
        await expect.poll(() => client.status).toBe('reconnecting')
        await server.start()
      }
      const theirTime = performance.now() + 1500
      await store.set('id', {})
      const opened = vi.fn()
      client.on('connecting', opened)
      await client.quit()
      await until('the time of its own attempts is over', () => performance.now() > theirTime)
      await expect.poll(() => client.status).toBe('end')
      expect(opened).not.toHaveBeenCalled()
    })
  })

  test('a connection that is busy with other work of the application is not taken for dead', async () => {
    const server = await startServer()
    const client = ioredis.redis(server)
    const store = new RedisStore({ client, timeout: 200 })
    await store.set('id', {})
    const closed = vi.fn()
    client.on('close', closed)
    const slowly = `
      local function now() local time = redis.call('TIME') return time[1] * 1000000 + time[2] end
      local start = now()
      repeat until now() > start + 2000
      return redis.call('INCR', KEYS[1])`
    const work = Promise.all(Array.from({ length: 1500 }, () => client.eval(slowly, 1, 'counter')))
    await expect(store.get('id')).rejects.toMatchObject({ statusCode: 503 }) // it waits behind the others
    await work
    expect(closed).not.toHaveBeenCalled()
    expect(await client.get('counter'), 'nothing was done twice').toBe('1500')
    expect(await store.get('id')).not.toBeNull()
  })

  test('closing the store leaves the client open, and ends its attempts to connect', async () => {
    const server = await startServer()
    const client = ioredis.redis(server)
    const store = new RedisStore({ client })
    await store.set('id', {})
    await store.close()
    expect(await client.ping()).toBe('PONG')
    const other = new RedisStore({ client })
    await server.kill()
    const answer = expect(other.get('id')).rejects.toMatchObject({ statusCode: 503 })
    await other.close()
    await answer
  })
})
