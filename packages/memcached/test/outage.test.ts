import { Browser, buildApp, Gate, until } from '@session-stores/testing'
import type { MemcachedServer } from '@session-stores/testing/memcached'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { MemcachedStore } from '../src/index.ts'
import { ringOf } from '../src/ring.ts'
import { keyOf, noMemcached, testServer, testStore, unavailable } from './setup.ts'

const TIMEOUT = 2000
/** What a busy machine may add to a deadline. */
const SLACK = 1000

interface Seen {
  id: string
  server: number
  begun: number
  took: number
  outcome: 'found' | 'gone' | 'saved' | { code?: string; statusCode?: number; message?: string }
}

/** Requests without a pause on sessions of all servers, by 24 users. */
class Load {
  readonly seen: Seen[] = []
  #going = true
  readonly #users: Promise<void>[]

  constructor(store: MemcachedStore, ids: string[], placeOf: (id: string) => number) {
    this.#users = Array.from({ length: 24 }, async (_, user) => {
      for (let turn = user; this.#going; turn += 7) {
        const id = ids[turn % ids.length] as string
        const begun = performance.now()
        const outcome = await visit(store, id, turn).catch((error) => error)
        this.seen.push({ id, server: placeOf(id), begun, took: performance.now() - begun, outcome })
        await new Promise((resolve) => setImmediate(resolve))
      }
    })
  }

  async end(): Promise<Seen[]> {
    this.#going = false
    await Promise.all(this.#users)
    return this.seen
  }
}

/** Every third visit saves the session. */
async function visit(store: MemcachedStore, id: string, turn: number): Promise<Seen['outcome']> {
  const session = await store.get(id)
  if (session === null) return 'gone'
  expect(session.text).toBe(id.repeat(100)) // no torn or foreign value
  if (turn % 3 !== 0) return 'found'
  await store.set(id, { ...session, turn })
  return 'saved'
}

async function scene() {
  const servers = await Promise.all([testServer(), testServer(), testServer()])
  const store = testStore(servers, { timeout: TIMEOUT })
  const ids = Array.from({ length: 150 }, (_, n) => `session-${n}`)
  const place = ringOf(servers.map(({ address }) => address))
  const placeOf = (id: string) => place(keyOf(id))
  for (const id of ids) await store.set(id, { text: id.repeat(100) })
  const load = new Load(store, ids, placeOf)
  await until('the load is on', () => load.seen.length > 500)
  const [, victim] = servers as [MemcachedServer, MemcachedServer, MemcachedServer]
  const own = ids.filter((id) => placeOf(id) === 1)
  expect(own.length).toBeGreaterThan(20)
  /** Resolves when the load has gone on for a while. */
  const goOn = async () => {
    const before = load.seen.length
    const begun = performance.now()
    await until('the load goes on', () => performance.now() - begun > TIMEOUT && load.seen.length > before + 500)
  }
  return { store, victim, load, own, goOn }
}

/** What every outage must look like. Answers what was seen on the server that was out. */
function judge(seen: Seen[]): Seen[] {
  const others = seen.filter(({ server }) => server !== 1)
  expect(others.filter(({ outcome }) => outcome !== 'found' && outcome !== 'saved')).toEqual([])
  const own = seen.filter(({ server }) => server === 1)
  for (const { outcome } of own) if (typeof outcome !== 'string') expect(outcome).toMatchObject(unavailable)
  expect(Math.max(...seen.map(({ took }) => took))).toBeLessThan(TIMEOUT + SLACK)
  return own
}

describe.skipIf(noMemcached)('one of three servers, under load', () => {
  test('killed: its sessions answer 503, the others never fail; when it is back, it takes new ones', async () => {
    const { store, victim, load, own, goOn } = await scene()
    await victim.kill()
    await goOn()
    const during = load.seen.length
    await goOn()
    expect(
      load.seen.slice(during).filter(({ server, outcome }) => server === 1 && typeof outcome === 'string'),
    ).toEqual([])
    await victim.start()
    await until(
      'it is used again',
      () => load.seen.at(-1) && load.seen.slice(-200).every(({ outcome }) => typeof outcome === 'string'),
    )
    const seen = judge(await load.end())
    expect(seen.at(-1)?.outcome, 'restarted empty').toBe('gone')
    for (const id of own) await store.set(id, { again: id })
    for (const id of own) expect(await store.get(id)).toMatchObject({ again: id })
  })

  test('stopped in its tracks: 503 within the deadline, then fast; when it goes on, so do its sessions', async () => {
    const { store, victim, load, own, goOn } = await scene()
    await victim.pause()
    await goOn()
    const during = load.seen.length
    await goOn()
    const later = load.seen.slice(during).filter(({ server }) => server === 1)
    expect(later.length, 'requests fail fast').toBeGreaterThan(20)
    for (const { outcome } of later) expect(outcome).toMatchObject(unavailable)
    later.sort((a, b) => a.took - b.took)
    expect(later[Math.floor(later.length / 2)]?.took, 'half of them').toBeLessThan(TIMEOUT / 2)
    victim.resume()
    await until('it is used again', () => load.seen.slice(-200).every(({ outcome }) => typeof outcome === 'string'))
    const seen = judge(await load.end())
    expect(seen.at(-1)?.outcome).not.toBe('gone')
    for (const id of own) expect(await store.get(id)).toMatchObject({ text: id.repeat(100) })
  })

  test('restarted: its sessions are gone, the others never fail', async () => {
    const { store, victim, load, own, goOn } = await scene()
    await victim.stop()
    await victim.start()
    await goOn()
    const seen = judge(await load.end())
    expect(seen.at(-1)?.outcome).toBe('gone')
    for (const id of own) await store.set(id, { again: id })
    for (const id of own) expect(await store.get(id)).toMatchObject({ again: id })
  })
})

describe.skipIf(noMemcached)('a server that is out', () => {
  test('is used again by the first request after its return', async () => {
    const server = await testServer()
    const store = testStore([server], { timeout: TIMEOUT })
    await store.set('id', { a: 1 })
    await server.pause()
    for (let n = 0; n < 3; n += 1) await expect(store.get('id')).rejects.toMatchObject(unavailable)
    server.resume()
    expect(await store.get('id')).toMatchObject({ a: 1 })
    await server.kill()
    for (let n = 0; n < 3; n += 1) await expect(store.get('id')).rejects.toMatchObject(unavailable)
    await server.start()
    expect(await store.get('id')).toBeNull()
    await store.set('id', { a: 2 })
    expect(await store.get('id')).toMatchObject({ a: 2 })
  })

  test('answers 503 at the deadline, however many requests follow', async () => {
    const server = await testServer()
    const store = testStore([server], { timeout: 400 })
    await store.set('id', { a: 1 })
    await server.pause()
    const begun = performance.now()
    const requests: Promise<unknown>[] = []
    while (performance.now() - begun < 200) {
      const request = store.get(`id${requests.length}`)
      requests.push(request)
      request.catch(() => {})
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    for (const request of requests) {
      await expect(request).rejects.toMatchObject({
        ...unavailable,
        cause: { message: `${server.address} has not answered` },
      })
    }
    expect(performance.now() - begun).toBeLessThan(400 + 200 + SLACK)
    server.resume()
    expect(await store.get('id')).toMatchObject({ a: 1 })
  })

  test('leaves no connection behind, however often it is out', async () => {
    const server = await testServer()
    const store = testStore([server], { timeout: TIMEOUT })
    await store.set('id', { a: 1 })
    const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
    const before = sockets()
    for (let round = 0; round < 3; round += 1) {
      await server.pause()
      for (let n = 0; n < 5; n += 1) await expect(store.get('id')).rejects.toMatchObject(unavailable)
      expect(sockets(), 'a few for pings').toBeLessThanOrEqual(before + 8)
      server.resume()
      await until('it is used again', async () => (await store.get('id'))?.a === 1)
      await until('all but one connection are closed', () => sockets() === before)
    }
  })

  test('does not make a ping fail while another one answers', async () => {
    const [first, second] = [await testServer(), await testServer()]
    const store = testStore([first, second], { timeout: 200 })
    await first.kill()
    await store.ping()
    await second.kill()
    await expect(store.ping()).rejects.toMatchObject(unavailable)
    await first.start()
    await store.ping()
  })

  test('that was never there is like one that went', async () => {
    const server = await testServer()
    await server.kill()
    const store = testStore([server])
    await expect(store.get('id')).rejects.toMatchObject(unavailable)
    await expect(store.set('id', {})).rejects.toMatchObject(unavailable)
    await server.start()
    await store.set('id', { a: 1 })
    expect(await store.get('id')).toMatchObject({ a: 1 })
  })

  test('leaves nothing on the console, and no ids or data in the error', async () => {
    const prints = (['log', 'info', 'warn', 'error', 'debug'] as const).map((name) => vi.spyOn(console, name))
    onTestFinished(() => {
      vi.restoreAllMocks()
    })
    const server = await testServer()
    const store = testStore([server])
    await store.set('the-secret-id', { secret: 'data' })
    await server.kill()
    const error = await store.get('the-secret-id').catch((each) => each)
    expect(error).toMatchObject({ ...unavailable, cause: { message: expect.stringContaining(server.address) } })
    expect(`${error.stack}${error.cause?.stack}`).not.toMatch(
      new RegExp(`the-secret-id|secret|${keyOf('the-secret-id')}`),
    )
    for (const print of prints) expect(print).not.toHaveBeenCalled()
  })
})

describe.skipIf(noMemcached)('behind @fastify/session', () => {
  test('an outage is a 503, never "no session"; one request waits once; the next one after it works', async () => {
    const server = await testServer()
    const gate = new Gate()
    const app = buildApp(testStore([server], { timeout: TIMEOUT }), gate)
    onTestFinished(() => app.close())
    await app.listen({ host: '127.0.0.1', port: 0 })
    const browser = new Browser(app)
    await browser.post('/login/ada')
    const { cookie } = browser

    const saves = new Browser(app, cookie).request('POST', '/slow/set/a/1')
    await gate.entered(1)
    await server.pause()
    const begun = performance.now()
    gate.open()
    expect((await saves).status, 'a request that has loaded its session').toBe(503)
    expect(performance.now() - begun).toBeLessThan(TIMEOUT + SLACK)
    for (const path of ['/me', '/slow/me']) {
      const response = await browser.request('GET', path)
      expect(response.status).toBe(503)
      expect(response.headers.getSetCookie()).toEqual([])
    }
    server.resume()
    expect(browser.cookie).toBe(cookie)
    expect((await browser.get('/me')).user).toBe('ada')
  })
})
