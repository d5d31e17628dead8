import dns from 'node:dns'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import fastifyWebsocket from '@fastify/websocket'
import { MemoryStore, type SessionStoreClosed } from '@session-stores/core'
import { Gate, until } from '@session-stores/testing'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { type SessionsOptions, sessions } from '../src/index.ts'
import { SECRET } from './setup.ts'
import { SlowStore } from './slow-store.ts'

describe.each([
  ['as Fastify closes connections by itself', {}],
  ['with forceCloseConnections', { forceCloseConnections: true }],
] as const)('requests under way, %s', (_, serverOptions) => {
  test('are finished before the store is closed, on every address', async () => {
    const { app, gate, store } = build({}, serverOptions)
    const loopbacks = nameLoopbacks()
    await app.listen({ host: 'localhost', port: 0 })
    const addresses = app.addresses() as Array<{ address: string; port: number }>
    expect(addresses.map(({ address }) => address).sort()).toEqual(loopbacks)
    const answers = addresses.map(({ address, port }) =>
      fetch(`http://${address.includes(':') ? `[${address}]` : address}:${port}/slow`, { method: 'POST' }),
    )
    await gate.entered(loopbacks.length)

    const closed = app.close()
    setTimeout(() => gate.open(), 100)
    for (const answer of answers) {
      const { status, headers } = await answer
      expect(status).toBe(200)
      expect(headers.get('set-cookie')).toMatch(/^session=/)
    }
    await closed
    expect(await whyRefused(store)).toBe('SESSION_STORE_CLOSED')
  })
})

test('a request whose session is just being saved is finished too', async () => {
  const store = new SlowStore()
  const { app } = build({ store }, { forceCloseConnections: true })
  const base = await app.listen({ host: '127.0.0.1', port: 0 })
  const answer = fetch(`${base}/begin`, { method: 'POST' })
  await until('the session is being saved', () => store.saves === 1)
  await app.close()
  expect((await answer).status).toBe(200)
})

test('a request that takes too long does not keep the application from closing', async () => {
  const { app, gate, store } = build({ closeTimeout: 50 }, { forceCloseConnections: true })
  const base = await app.listen({ host: '127.0.0.1', port: 0 })
  const answer = fetch(`${base}/slow`, { method: 'POST' }).catch(() => 'cut')
  await gate.entered(1)
  await app.close()
  expect(await answer).toBe('cut')
  expect(await whyRefused(store)).toBe('SESSION_STORE_CLOSED')
  gate.open()
})

test('neither a websocket nor a client that went away is waited for', async () => {
  const { app, gate } = build({ closeTimeout: 9000 })
  const base = await app.listen({ host: '127.0.0.1', port: 0 })
  const socket = new WebSocket(`${base.replace('http', 'ws')}/socket`)
  await once(socket, 'open')
  const leaving = new AbortController()
  const left = fetch(`${base}/slow`, { method: 'POST', signal: leaving.signal }).catch(() => 'left')
  await gate.entered(1)
  leaving.abort()
  expect(await left).toBe('left')

  const begun = performance.now()
  await app.close()
  expect(performance.now() - begun).toBeLessThan(5000)
  gate.open()
})

test('what was only injected is not waited for', async () => {
  const { app } = build({ closeTimeout: 9000 })
  await app.inject({ method: 'POST', url: '/quick' })
  const begun = performance.now()
  await app.close()
  expect(performance.now() - begun).toBeLessThan(5000)
})

test('closeStore: false leaves the store open', async () => {
  const { app, store } = build({ closeStore: false })
  await app.ready()
  await app.close()
  expect(await whyRefused(store)).toBe(undefined)
  await store.close()
})

test('a store without a method close is left alone', async () => {
  const store = new MemoryStore()
  const { app } = build({
    store: { get: store.get.bind(store), set: store.set.bind(store), destroy: store.destroy.bind(store) },
  })
  await app.ready()
  await app.close()
  await store.close()
})

afterEach(() => void vi.restoreAllMocks())

/** Has `localhost` stand for all the loopback addresses of this machine, as most machines have it. */
function nameLoopbacks(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const loopbacks = ['127.0.0.1', '::1'].filter((address) => all.some((each) => each.address === address))
  const lookup = dns.lookup as (...args: unknown[]) => void
  vi.spyOn(dns, 'lookup').mockImplementation(((...args: unknown[]) => {
    const [name, options, callback] = args as [string, { all?: boolean }, (error: null, found: unknown) => void]
    if (name !== 'localhost' || !options.all) return lookup(...args)
    callback(
      null,
      loopbacks.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )
  }) as never)
  return loopbacks
}

function build(options: Partial<SessionsOptions> = {}, serverOptions: FastifyServerOptions = {}) {
  const gate = new Gate()
  const store = new MemoryStore()
  const app: FastifyInstance = Fastify(serverOptions)
  app.register(sessions, { store, secret: SECRET, ...options })
  app.register(fastifyWebsocket)
  app.register(async (scope) => {
    scope.post('/slow', async ({ session }) => {
      session.user = 'ada'
      await gate.pass()
      return 'done'
    })
    scope.post('/begin', async ({ session }) => {
      session.user = 'ada'
      return 'done'
    })
    scope.post('/quick', async () => 'done')
    scope.get('/socket', { websocket: true }, () => {})
  })
  return { app, gate, store }
}

async function whyRefused(store: MemoryStore): Promise<string | undefined> {
  const error = await store.get('some id').then(
    () => undefined,
    (reason: InstanceType<typeof SessionStoreClosed>) => reason,
  )
  return error?.code
}
