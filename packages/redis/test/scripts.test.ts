import { RedisServer } from '@session-stores/testing/redis'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { type RedisClient, RedisStore } from '../src/index.ts'
import { drivers, freshPrefix, ioredis } from './drivers.ts'
import { Line } from './line.ts'

const server = await RedisServer.start()
afterAll(() => server.stop())

const key = 'k'.repeat(43)

function makeBackend(client: RedisClient = ioredis.redis(server)) {
  return new RedisStore({ client, prefix: freshPrefix() }).backend
}

function record(data: string, lifetime = 60_000) {
  return { data, createdAt: 1, expiresAt: Date.now() + lifetime }
}

describe.each(drivers)('$name: a server that forgot the scripts', ({ redis }) => {
  for (const options of [{}, { enableAutoPipelining: true }, { stringNumbers: true }]) {
    test(`is told them again, with ${JSON.stringify(options)}`, async () => {
      const backend = makeBackend(redis(server, options))
      let version = await backend.write(key, record('a'))
      for (let n = 0; n < 2; n += 1) {
        await server.cli('SCRIPT', 'FLUSH')
        expect(await backend.touch(key, Date.now() + 90_000, version)).toBe(true)
        await server.cli('SCRIPT', 'FLUSH')
        version = (await backend.replace(key, record('b'), version)) as string
        expect(await backend.read(key)).toMatchObject({ version, record: { data: 'b' } })
      }
      expect(await backend.remove(key)).toBe(true)
      expect(await backend.remove(key)).toBe(false)
    })
  }

  test('knows them afterwards', async () => {
    const backend = makeBackend(redis(server))
    await server.cli('SCRIPT', 'FLUSH')
    let version = await backend.write(key, record('a'))
    version = (await backend.replace(key, record('b'), version)) as string
    await server.cli('CONFIG', 'RESETSTAT')
    await backend.replace(key, record('c'), version)
    expect(await server.cli('INFO', 'commandstats')).not.toMatch(/cmdstat_eval:/)
  })
})

describe.each(drivers)('$name: a command that the driver sends twice, for it lost the answer', ({ redis }) => {
  async function overBadLine() {
    const line = await Line.to(server)
    onTestFinished(() => line[Symbol.asyncDispose]())
    const client = redis(line)
    const backend = makeBackend(client)
    await backend.ping?.()
    return { line, backend }
  }

  test('replace is a success both times', async () => {
    const { line, backend } = await overBadLine()
    const first = await backend.write(key, record('a'))
    line.loseAnswerTo('evalsha')
    const second = await backend.replace(key, record('b'), first)
    expect(line.hasLostAnswer).toBe(true)
    expect(await backend.read(key)).toMatchObject({ version: second, record: { data: 'b' } })
    expect(await backend.replace(key, record('c'), first)).toBe('conflict')
  })

  test('write, touch and remove do the same again', async () => {
    const { line, backend } = await overBadLine()
    line.loseAnswerTo('set')
    const version = await backend.write(key, record('a'))
    expect(line.hasLostAnswer).toBe(true)
    expect(await backend.read(key)).toMatchObject({ version, record: { data: 'a' } })
    line.loseAnswerTo('evalsha')
    expect(await backend.touch(key, Date.now() + 90_000, version)).toBe(true)
    expect(line.hasLostAnswer).toBe(true)
    line.loseAnswerTo('del')
    await backend.remove(key)
    expect(line.hasLostAnswer).toBe(true)
    expect(await backend.read(key)).toBeUndefined()
  })
})

test('a replay of replace does not undo a touch that came between', async () => {
  const client = ioredis.redis(server)
  const prefix = freshPrefix()
  const { backend } = new RedisStore({ client, prefix })
  const first = await backend.write(key, record('a'))
  // What the driver sent, word for word, to be sent once more
  const monitor = await client.monitor()
  const sent = new Promise<string[]>((resolve) => {
    monitor.on('monitor', (_time: string, args: string[]) => args[0] === 'evalsha' && resolve(args))
  })
  await client.script('LOAD', 'return 1')
  const replaced = (await backend.replace(key, record('b'), first)) as string
  const [, ...args] = await sent
  monitor.disconnect()
  const later = Date.now() + 3_600_000
  expect(await backend.touch(key, later, replaced)).toBe(true)
  expect(await client.call('evalsha', ...args)).toBe('replaced')
  expect(await backend.read(key)).toMatchObject({ version: replaced, record: { expiresAt: later } })
})
