import { hash } from 'node:crypto'
import { channel } from 'node:diagnostics_channel'
import { rmSync } from 'node:fs'
import { inspect } from 'node:util'
import { newVersion, type OperationContext } from '@session-stores/core'
import { Browser, buildApp, until } from '@session-stores/testing'
import { RedisServer } from '@session-stores/testing/redis'
import { afterEach, describe, expect, test } from 'vitest'
import { RedisStore } from '../src/index.ts'
import { drivers, ioredis } from './drivers.ts'
import { Stalls } from './stalls.ts'

let stopping: Array<() => unknown> = []
afterEach(async () => {
  for (const stop of stopping.reverse()) await stop()
  stopping = []
})

async function startServer(...options: string[]): Promise<RedisServer> {
  const server = await RedisServer.start(...options)
  stopping.push(() => server.stop())
  return server
}

const ID = 'Qk_XT2K7-clT-x1tVvoY6tIQ83iP72KN'
const KEY = hash('sha256', ID, 'base64url')
const SECRET = 'the-secret-of-the-session'

/** The cookie of a session in use: that its expiry moves is worth a touch. */
function cookieFor(ms: number) {
  return { expires: new Date(Date.now() + ms), originalMaxAge: 60_000 }
}

/** A store with a session in it that is due for a touch. */
async function startStore(server: RedisServer, driver = ioredis, options = {}) {
  const client = driver.redis(server, options)
  const store = new RedisStore({ client, touchInterval: 0 })
  await store.set(ID, { cookie: cookieFor(60_000), secret: SECRET })
  return { client, store }
}

/**
 * Each kind of write is refused with this cause, in time, and without a word of the session; the caller is spared the
 * refusal of a touch. What was stored stays.
 */
async function expectRefusal(store: RedisStore, cause: RegExp, writes = ['set', 'change', 'touch', 'destroy']) {
  const before = await store.backend.read(KEY)
  const changed = { ...(await store.get(ID)), more: SECRET }
  const touched = { ...(await store.get(ID)), cookie: cookieFor(90_000) }
  const attempts: Record<string, () => Promise<void>> = {
    set: () => store.set(`${ID}2`, { secret: SECRET.repeat(100) }),
    change: () => store.set(ID, changed),
    touch: () => store.set(ID, touched),
    destroy: () => store.destroy(ID),
  }
  for (const write of writes) {
    const stalls = new Stalls()
    const begun = performance.now()
    const attempt = attempts[write] as () => Promise<void>
    const error = write === 'touch' ? await refusedBehind(attempt) : await failureOf(attempt())
    stalls.stop()
    expect(performance.now() - begun - stalls.total).toBeLessThan(2100)
    expect(error, write).toMatchObject({ code: 'SESSION_STORE_UNAVAILABLE', statusCode: 503 })
    expect((error as Error).cause, write).toMatchObject({ message: expect.stringMatching(cause) })
    expectNoSecrets(error)
  }
  expect(await store.backend.read(KEY), 'as it was').toEqual(before)
  expect(await store.backend.read(hash('sha256', `${ID}2`, 'base64url')), 'nothing half-written').toBeUndefined()
}

function failureOf(attempt: Promise<unknown>): Promise<unknown> {
  return attempt.then(
    () => expect.unreachable('it must fail'),
    (thrown: unknown) => thrown,
  )
}

/** The error that a save was spared since only a touch was refused. */
async function refusedBehind(save: () => Promise<void>): Promise<unknown> {
  const messages: OperationContext[] = []
  const listen = (message: unknown) => messages.push(message as OperationContext)
  channel('tracing:session-stores.set:asyncEnd').subscribe(listen)
  try {
    await save()
  } finally {
    channel('tracing:session-stores.set:asyncEnd').unsubscribe(listen)
  }
  expect(messages).toMatchObject([{ outcome: 'refused' }])
  return messages[0]?.error
}

function expectNoSecrets(error: unknown): void {
  const all = inspect(error, { depth: Infinity, showHidden: true, maxStringLength: null, maxArrayLength: null })
  for (const secret of [ID, KEY, SECRET]) expect(all).not.toContain(secret)
}

/** The server is well again: everything works, with the same client and store. */
async function expectRecovery(store: RedisStore): Promise<void> {
  await store.set(ID, { ...(await store.get(ID)), again: true })
  expect(await store.get(ID)).toMatchObject({ secret: SECRET, again: true })
  await store.set(`${ID}2`, {})
  await store.destroy(ID)
  expect(await store.get(ID)).toBeNull()
}

describe.each(drivers)('$name: a server that refuses', (driver) => {
  test('is out of memory', async () => {
    const server = await startServer('--maxmemory-policy', 'noeviction')
    const { store } = await startStore(server, driver)
    await server.cli('CONFIG', 'SET', 'maxmemory', '1')
    await expectRefusal(store, /^OOM /, ['set', 'change'])
    await store.set(ID, { ...(await store.get(ID)), cookie: cookieFor(90_000) }) // a touch
    await server.cli('CONFIG', 'SET', 'maxmemory', '1gb') // Redis 7.0 goes on refusing scripts when there is no limit any more
    await expectRecovery(store)
  })

  test('became a replica', async () => {
    const [server, other] = [await startServer(), await startServer()]
    const { store } = await startStore(server, driver)
    await server.cli('CONFIG', 'SET', 'replica-serve-stale-data', 'yes')
    await server.cli('REPLICAOF', '127.0.0.1', '1')
    await expectRefusal(store, /^READONLY /)
    await server.cli('REPLICAOF', 'NO', 'ONE')
    await expectRecovery(store)
    await other.stop()
  })

  test('cannot save its data', async () => {
    const server = await startServer('--stop-writes-on-bgsave-error', 'yes')
    const { store } = await startStore(server, driver)
    rmSync(server.folder, { recursive: true })
    await server.cli('CONFIG', 'SET', 'save', '3600 1')
    await server.cli('BGSAVE').catch(() => {})
    await until('the save has failed', async () => /rdb_last_bgsave_status:err/.test(await server.cli('INFO')))
    await expectRefusal(store, /^MISCONF /)
    await server.cli('CONFIG', 'SET', 'save', '')
    await expectRecovery(store)
  })

  test('does not permit it', async () => {
    const server = await startServer()
    await server.cli('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '+@all')
    const { store } = await startStore(server, driver, { username: 'app', password: 'secret' })
    await server.cli('ACL', 'SETUSER', 'app', '-set', '-evalsha', '-eval', '-del')
    await expectRefusal(store, /^NOPERM /)
    await server.cli('ACL', 'SETUSER', 'app', '+evalsha', '+eval')
    await expectRefusal(store, /^(ERR|NOPERM) /, ['set', 'change', 'destroy'])
    await server.cli('ACL', 'SETUSER', 'app', '+@all', 'resetkeys', '~other:*')
    await expect(store.get(ID)).rejects.toMatchObject({ cause: { message: expect.stringMatching(/^NOPERM /) } })
    await server.cli('ACL', 'SETUSER', 'app', '~*')
    await expectRecovery(store)
  })

  test('permits half of a touch: the session stays as it was', async () => {
    const server = await startServer()
    await server.cli('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '+@all')
    const { store } = await startStore(server, driver, { username: 'app', password: 'secret' })
    for (const half of ['pexpire', 'setrange']) {
      await server.cli('ACL', 'SETUSER', 'app', '+@all', `-${half}`)
      await expectRefusal(store, /^(ERR|NOPERM) /, ['touch'])
    }
    await server.cli('ACL', 'SETUSER', 'app', '+@all')
    await expectRecovery(store)
  })

  test('does not permit a PING: it answers, so it is not down', async () => {
    const server = await startServer()
    await server.cli('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '+@all', '-ping')
    const { store } = await startStore(server, driver, { username: 'app', password: 'secret' })
    await store.ping()
    server.pause()
    await expect(store.get(ID)).rejects.toMatchObject({ statusCode: 503 })
    server.resume()
    await expect.poll(() => store.get(ID).catch(() => 'down')).toMatchObject({ secret: SECRET })
  })

  test('does not know a command, and quotes it with its arguments', async () => {
    const server = await startServer('--rename-command', 'EVALSHA', '', '--rename-command', 'SET', 'TES')
    const store = new RedisStore({ client: driver.redis(server) })
    const { backend } = store
    const value = { data: SECRET, createdAt: 1, expiresAt: Date.now() + 60_000 }
    const attempts = [
      async () => backend.write(KEY, value, newVersion()),
      async () => backend.replace(KEY, value, newVersion(), newVersion()),
      () => store.set(ID, { secret: SECRET }),
    ]
    for (const attempt of attempts) {
      const error = await failureOf(attempt())
      expect(inspect(error)).toContain('ERR unknown command')
      expectNoSecrets(error)
    }
  })

  test('keeps something else under the key', async () => {
    const server = await startServer()
    const { client, store } = await startStore(server, driver)
    await client.del(`sess:${KEY}`)
    await client.hset(`sess:${KEY}`, { secret: SECRET })
    const value = { data: SECRET, createdAt: 1, expiresAt: 1 }
    const replace = async () => store.backend.replace(KEY, value, newVersion(), newVersion())
    for (const attempt of [() => store.get(ID), replace]) {
      const error = await failureOf(attempt())
      expect(inspect(error)).toContain('WRONGTYPE')
      expectNoSecrets(error)
    }
  })
})

test.each(drivers)('$name: a touch that is refused does not fail a request that only reads', async (driver) => {
  const server = await startServer()
  const store = new RedisStore({ client: driver.redis(server), touchInterval: 0 })
  const app = buildApp(store)
  stopping.push(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  const browser = new Browser(app)
  await browser.post('/login/ada')
  await server.cli('CONFIG', 'SET', 'min-replicas-to-write', '1')
  const read = () => browser.request('GET', '/me')
  expect(await refusedBehind(async () => expect((await read()).status).toBe(200))).toMatchObject({
    cause: { message: expect.stringMatching(/^NOREPLICAS /) },
  })
  expect((await browser.request('POST', '/set/a/1')).status).toBe(503)
  await server.cli('CONFIG', 'SET', 'min-replicas-to-write', '0')
  await browser.post('/set/a/1')
  expect(await browser.get('/me')).toEqual({ user: 'ada', a: '1' })
})

test.each(drivers)('$name: a server that is loading its data fails in time, and works once it has', async (driver) => {
  const server = await startServer()
  const { client, store } = await startStore(server, driver)
  const filler = client.pipeline()
  for (let n = 0; n < 3000; n += 1) filler.set(`filler${n}`, 'x'.repeat(100))
  await filler.exec()
  await client.save()
  await server.kill()
  await server.start('--key-load-delay', '1000', '--loading-process-events-interval-bytes', '1024')
  const isLoading = async () => (await server.cli('GET', 'x')).startsWith('LOADING')
  expect(await isLoading()).toBe(true)

  const impatient = new RedisStore({ client: driver.redis(server, { enableReadyCheck: false }) })
  const stalls = new Stalls()
  const begun = performance.now()
  const unavailable = { code: 'SESSION_STORE_UNAVAILABLE', cause: { message: expect.stringContaining('loading') } }
  await Promise.all([store, impatient].map((each) => expect(each.get(ID)).rejects.toMatchObject(unavailable)))
  stalls.stop()
  expect(performance.now() - begun - stalls.total).toBeLessThan(2100)

  await until('it has loaded', async () => !(await isLoading()))
  for (const each of [store, impatient]) {
    await expect.poll(() => each.get(ID).catch(() => 'down')).toMatchObject({ secret: SECRET })
  }
  await expectRecovery(store)
})

describe.each(drivers)('$name: a connection that Redis refuses: the cause says why', ({ redis }) => {
  /** @returns what the cause of its first failure says */
  async function refusal(options: object, ...config: string[]): Promise<string> {
    const server = await startServer(...config)
    await server.cli('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '+@all', '-hello', '-info', '-get')
    const store = new RedisStore({ client: redis(server, options) })
    const error = await failureOf(store.get(ID))
    expect(error).toMatchObject({ code: 'SESSION_STORE_UNAVAILABLE', statusCode: 503 })
    return ((error as Error).cause as Error).message
  }

  test('no password', async () => {
    expect(await refusal({}, '--requirepass', 'secret')).toMatch(/^NOAUTH /)
  })

  test('a wrong one', async () => {
    expect(await refusal({ password: 'wrong' }, '--requirepass', 'secret')).toMatch(/^WRONGPASS /)
    expect(await refusal({ username: 'nobody', password: 'wrong' })).toMatch(/^WRONGPASS /)
  })

  test('a user who may not do it', async () => {
    expect(await refusal({ username: 'app', password: 'secret' })).toMatch(/^NOPERM /)
  })

  test('too many clients', async () => {
    const server = await startServer()
    const others = [redis(server), redis(server)]
    await Promise.all(others.map((other) => other.ping()))
    const client = redis(server, { lazyConnect: true })
    await server.cli('CONFIG', 'SET', 'maxclients', '2')
    const store = new RedisStore({ client })
    expect(await failureOf(store.get(ID))).toMatchObject({
      cause: { message: expect.stringMatching(/max number of clients|maxclients/) },
    })
    others[0]?.disconnect()
    await expect.poll(() => store.get(ID).catch(() => 'down')).toBeNull()
  })
})
