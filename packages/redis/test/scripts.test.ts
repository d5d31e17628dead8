import { setTimeout as sleep } from 'node:timers/promises'
import { RedisServer } from '@session-stores/testing/redis'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { type RedisClient, RedisStore } from '../src/index.ts'
import { REPLACE, TOUCH } from '../src/scripts.ts'
import { drivers, freshPrefix, ioredis } from './drivers.ts'
import { FaultyProxy } from './proxy.ts'
import { key, record, replace, write } from './records.ts'

const server = await RedisServer.start()
afterAll(() => server.stop())

function makeBackend(client: RedisClient) {
  return new RedisStore({ client, prefix: freshPrefix() }).backend
}

async function throughProxy(): Promise<FaultyProxy> {
  const proxy = await FaultyProxy.to(server)
  onTestFinished(() => proxy[Symbol.asyncDispose]())
  return proxy
}

describe.each(drivers)('$name: a server that forgot the scripts', ({ redis }) => {
  for (const options of [{}, { enableAutoPipelining: true }, { stringNumbers: true }]) {
    test(`is told them again, with ${JSON.stringify(options)}`, async () => {
      const backend = makeBackend(redis(server, options))
      let version = await write(backend, record('a'))
      for (let n = 0; n < 2; n += 1) {
        await server.cli('SCRIPT', 'FLUSH')
        expect(await backend.touch(key, Date.now() + 90_000, version)).toBe(true)
        await server.cli('SCRIPT', 'FLUSH')
        version = await replace(backend, record('b'), version)
        expect(await backend.read(key)).toMatchObject({ version, record: { data: 'b' } })
      }
      expect(await backend.remove(key)).toBe(true)
      expect(await backend.remove(key)).toBe(false)
    })
  }

  test('knows them afterwards', async () => {
    const backend = makeBackend(redis(server))
    await server.cli('SCRIPT', 'FLUSH')
    let version = await write(backend, record('a'))
    version = await replace(backend, record('b'), version)
    await server.cli('CONFIG', 'RESETSTAT')
    await replace(backend, record('c'), version)
    expect(await server.cli('INFO', 'commandstats')).not.toMatch(/cmdstat_eval:/)
  })
})

describe.each(drivers)('$name: a command whose answer is lost is sent again', ({ redis }) => {
  async function overBadLine() {
    const proxy = await throughProxy()
    const backend = makeBackend(redis(proxy))
    await backend.ping?.()
    return { proxy, backend }
  }

  test('replace is a success both times', async () => {
    const { proxy, backend } = await overBadLine()
    const first = await write(backend, record('a'))
    proxy.loseAnswerTo('evalsha')
    const second = await replace(backend, record('b'), first)
    expect(proxy.hasLostAnswer).toBe(true)
    expect(await backend.read(key)).toMatchObject({ version: second, record: { data: 'b' } })
    expect(await replace(backend, record('c'), first)).toBe('conflict')
  })

  test('write, touch and remove do the same again', async () => {
    const { proxy, backend } = await overBadLine()
    proxy.loseAnswerTo('set')
    const version = await write(backend, record('a'))
    expect(proxy.hasLostAnswer).toBe(true)
    expect(await backend.read(key)).toMatchObject({ version, record: { data: 'a' } })
    proxy.loseAnswerTo('evalsha')
    expect(await backend.touch(key, Date.now() + 90_000, version)).toBe(true)
    expect(proxy.hasLostAnswer).toBe(true)
    proxy.loseAnswerTo('del')
    await backend.remove(key)
    expect(proxy.hasLostAnswer).toBe(true)
    expect(await backend.read(key)).toBeUndefined()
  })
})

describe.each(drivers)('$name: a log-out that was acknowledged holds', ({ redis }) => {
  /** The commands about sessions that the server has been sent from now on, by name. */
  async function watch(): Promise<() => Promise<string[]>> {
    const client = redis(server)
    const monitor = await client.monitor()
    onTestFinished(() => monitor.disconnect())
    const commands: string[] = []
    let marks = 0
    monitor.on('monitor', (_time: string, [name = '', ...args]: string[], source: string) => {
      if (name === 'echo') marks += 1
      else if (source !== 'lua' && args.some((arg) => arg.startsWith('sess:'))) commands.push(name)
    })
    return async () => {
      const before = marks
      await client.echo('everything before this was seen')
      await expect.poll(() => marks).toBeGreaterThan(before)
      return [...commands]
    }
  }

  /** Each with what comes before: the promise of its outcome is begun while answers are held back. */
  const saves: Record<string, (store: RedisStore) => Promise<() => Promise<void>>> = {
    'a new session': async (store) => {
      await store.ping()
      return () => store.set('id', { user: 'ada' })
    },
    'a changed session': async (store) => {
      await store.set('id', { user: 'ada' })
      const session = await store.get('id')
      return () => store.set('id', { ...session, more: true })
    },
    'a touch': async (store) => {
      await store.set('id', { user: 'ada' })
      const session = await store.get('id')
      session.cookie = { expires: new Date(Date.now() + 7 * 86_400_000), originalMaxAge: 7 * 86_400_000 }
      return () => store.touch('id', session)
    },
  }
  test.each(Object.keys(saves))('against the save of %s, sent twice since its answer was held back', async (what) => {
    await server.cli('FLUSHALL')
    const proxy = await throughProxy()
    const store = new RedisStore({ client: redis(proxy) })
    for (const { lua } of [REPLACE, TOUCH]) await server.cli('SCRIPT', 'LOAD', lua)
    const save = await (saves[what] as (typeof saves)[string])(store)
    const sent = await watch()
    proxy.holdAnswers()
    await save()
    const writes = await sent()
    expect(writes).toHaveLength(2)
    await store.destroy('id')
    proxy.release()
    await store.ping()
    expect(await sent()).toEqual([...writes, 'del'])
    expect(await server.cli('DBSIZE')).toBe('0')
  })

  test('against a save that failed', async () => {
    await server.cli('FLUSHALL')
    const proxy = await throughProxy()
    const store = new RedisStore({ client: redis(proxy) })
    await store.ping()
    const sent = await watch()
    proxy.swallowAll()
    await expect(store.set('id', { user: 'ada' })).rejects.toMatchObject({ statusCode: 503 })
    proxy.mend()
    const logOut = () => store.destroy('id').catch((error) => error)
    await expect.poll(logOut, { timeout: 5000 }).toBeUndefined()
    await sleep(2000) // whoever kept the save to send it later has had the time
    expect((await sent()).filter((name) => name !== 'getrange')).toEqual(['del'])
    expect(await server.cli('DBSIZE')).toBe('0')
  })
})

test('a replay of replace does not undo a touch that came between', async () => {
  const client = ioredis.redis(server)
  const backend = makeBackend(client)
  const first = await write(backend, record('a'))
  // What was sent, word for word, to be sent once more
  const monitor = await client.monitor()
  const sent = new Promise<string[]>((resolve) => {
    monitor.on('monitor', (_time: string, args: string[]) => args[0] === 'evalsha' && resolve(args))
  })
  await client.script('LOAD', 'return 1')
  const replaced = await replace(backend, record('b'), first)
  const [, ...args] = await sent
  monitor.disconnect()
  const later = Date.now() + 3_600_000
  expect(await backend.touch(key, later, replaced)).toBe(true)
  expect(await client.call('evalsha', ...args)).toBe('replaced')
  expect(await backend.read(key)).toMatchObject({ version: replaced, record: { expiresAt: later } })
})
