import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { newVersion, type SessionRecord } from '@session-stores/core'
import { userCases, userOf, userOptions } from '@session-stores/testing'
import { RedisClusterServers, RedisServer } from '@session-stores/testing/redis'
import type { Cluster, Redis } from 'ioredis'
import { afterAll, describe, expect, test } from 'vitest'
import { RedisStore } from '../src/index.ts'
import { freshPrefix, ioredis } from './drivers.ts'

const server = await RedisServer.start()
const servers = await RedisClusterServers.start()
afterAll(() => Promise.all([server.stop(), servers.stop()]))

const MINUTE = 60_000
const places: Array<{ where: string; addresses: Array<{ port: number }>; connect(): Redis | Cluster }> = [
  { where: 'one server', addresses: [server.address], connect: () => ioredis.redis(server) },
  { where: 'Cluster', addresses: servers.addresses, connect: () => ioredis.cluster(servers.addresses) },
]

function recordOf(userId: string, lifetime = 60 * MINUTE): SessionRecord {
  return { data: '{}', createdAt: 1, expiresAt: Date.now() + lifetime, userId }
}

const keyNumber = (n: number) => `${n}`.padStart(43, 'k')

function open(client: Redis | Cluster) {
  const prefix = freshPrefix()
  const store = new RedisStore({ client, prefix, userOf })
  const { backend } = store
  const write = async (n: number, record: SessionRecord) => {
    const version = newVersion()
    await backend.write(keyNumber(n), record, version)
    return version
  }
  /** The name of the only index, if there is one. */
  const index = async (): Promise<string | undefined> => {
    const all = await Promise.all(
      [server, ...(await servers.masters())].map((each) => each.cli('KEYS', `${prefix}user:*`)),
    )
    const names = all.flatMap((text) => text.split('\n').filter(Boolean))
    expect(names.length).toBeLessThanOrEqual(1)
    return names[0]
  }
  return { store, backend, write, index, prefix }
}

describe.each(places)('the index of a user: $where', ({ connect }) => {
  test('is named by a hash, and lives as long as its longest session', async () => {
    const client = connect()
    const { backend, write, index } = open(client)
    const version = await write(1, recordOf('ada', 30 * MINUTE))
    const name = (await index()) as string
    expect(name).not.toContain('ada')
    const ttl = async () => Math.round((await client.pttl(name)) / MINUTE)
    const expectTtl = async (minutes: number) => {
      // The key of a session outlives it by ten.
      expect(await ttl()).toBeGreaterThanOrEqual(minutes + 10 - 1)
      expect(await ttl()).toBeLessThanOrEqual(minutes + 10 + 2)
    }
    await expectTtl(30)
    await write(2, recordOf('ada', 10 * MINUTE))
    await expectTtl(30)
    expect(await backend.touch(keyNumber(1), Date.now() + 90 * MINUTE, version, 'ada')).toBe(true)
    await expectTtl(90)
    await backend.replace(keyNumber(1), recordOf('ada', 200 * MINUTE), newVersion(), version)
    await expectTtl(200)
    // What made it live that long ends early: so does the index.
    await write(1, recordOf('ada', 20 * MINUTE))
    await expectTtl(20)
  })

  test('drops entries that are over when a session is listed', async () => {
    const client = connect()
    const { write, index } = open(client)
    await write(1, recordOf('ada'))
    const name = (await index()) as string
    const minute = Math.floor(Date.now() / MINUTE)
    await client.zadd(name, `${(minute - 1) * 1e6}`, keyNumber(2), `${(minute + 2) * 1e6}`, keyNumber(3))
    await write(4, recordOf('ada'))
    expect((await client.zrange(name, '0', '-1')).sort()).toEqual([1, 3, 4].map(keyNumber))
  })

  test('a session that is being written stays listed, though others look for it before it is there', async () => {
    const client = connect()
    const { backend, write, index } = open(client)
    await write(1, recordOf('ada'))
    const name = (await index()) as string
    const minute = Math.floor(Date.now() / MINUTE)
    const listedBefore = (minutes: number) => `${(minute + 1440) * 1e6 + ((minute - minutes) % 1e6)}`
    // As a process leaves it that has not written the session yet; on a server whose clock is ahead; and long ago.
    await client.zadd(
      name,
      listedBefore(1),
      keyNumber(2),
      listedBefore(-2),
      keyNumber(3),
      listedBefore(20),
      keyNumber(4),
    )
    const found = async () => (await backend.findByUser?.('ada'))?.records.map(({ key }) => key)
    expect(await found()).toEqual([keyNumber(1)])
    await expect.poll(async () => (await client.zrange(name, '0', '-1')).sort()).toEqual([1, 2, 3].map(keyNumber))
  })

  test('1000 sessions of one user are listed, and end at once', async () => {
    const { store } = open(connect())
    for (let from = 0; from < 1000; from += 250) {
      const ids = Array.from({ length: 250 }, (_, n) => `id${from + n}`)
      await Promise.all(ids.map((id) => store.set(id, { user: 'ada' })))
    }
    expect(await store.listByUser('ada')).toHaveLength(1000)
    expect(await store.destroyByUser('ada', { except: 'id7' })).toBe(999)
    expect((await store.listByUser('ada')).map(({ handle }) => handle)).toEqual([store.handleOf('id7')])
  })
})

test('on one server the index goes with the last session, however that ends', async () => {
  const { store, backend, index, write } = open(ioredis.redis(server))
  await store.set('a', { user: 'ada' })
  await store.set('b', { user: 'ada' })
  await store.destroy('a')
  expect(await index()).toBeDefined()
  await store.destroy('b')
  await expect.poll(index).toBeUndefined()
  await write(1, recordOf('ada'))
  expect(await backend.removeOfUser?.('ada', [keyNumber(1)])).toBe(1)
  expect(await index()).toBeUndefined()
})

test('in a Cluster the index goes some minutes after the last session, however that ends', async () => {
  const client = ioredis.cluster(servers.addresses)
  const { backend, index, write } = open(client)
  const minutesLeft = async () => (await client.pttl((await index()) as string)) / MINUTE
  for (const end of [async (n: number) => backend.remove(keyNumber(n)), removeOfUser]) {
    for (const n of [1, 2]) await write(n, recordOf('ada', 1000 * MINUTE))
    await end(1)
    expect(await minutesLeft()).toBeGreaterThan(1000)
    await end(2)
    await expect.poll(minutesLeft).toBeLessThanOrEqual(11)
    expect(await minutesLeft()).toBeGreaterThan(9)
  }
  // A session that begins after that under the same key is listed as long as it lives.
  await write(1, recordOf('ada', 1000 * MINUTE))
  expect(await minutesLeft()).toBeGreaterThan(1000)

  async function removeOfUser(n: number) {
    return backend.removeOfUser?.('ada', [keyNumber(n)])
  }
})

test('in a Cluster a session that is changed again and again is not listed each time, but when it is to live longer', async () => {
  const { backend, write } = open(ioredis.cluster(servers.addresses))
  const listed = async () => {
    const stats = await Promise.all((await servers.masters()).map((each) => each.cli('INFO', 'commandstats')))
    return stats.reduce((sum, text) => sum + Number(/cmdstat_zadd:calls=(\d+)/.exec(text)?.[1] ?? 0), 0)
  }
  const before = await listed()
  let version = await write(1, recordOf('ada'))
  const change = async (record: SessionRecord) => {
    const next = newVersion()
    expect(await backend.replace(keyNumber(1), record, next, version)).toBe('replaced')
    version = next
  }
  for (let n = 0; n < 5; n += 1) await change(recordOf('ada'))
  expect((await listed()) - before).toBe(1)
  await change(recordOf('ada', 90 * MINUTE))
  expect((await listed()) - before).toBe(2)
  await change(recordOf('bob'))
  expect((await listed()) - before).toBe(3)
})

test('a store without userOf sends nothing more', async () => {
  const client = ioredis.redis(server)
  const monitor = await client.monitor()
  const commands: string[] = []
  monitor.on('monitor', (_time: string, [name = '', ...args]: string[]) => {
    if (args.some((arg) => arg.startsWith('plain:')) || name === 'time') commands.push(name)
    if (name === 'echo') commands.push('end')
  })
  const store = new RedisStore({ client, prefix: 'plain:' })
  await store.set('id', {})
  await store.get('id')
  await store.destroy('id')
  await client.echo('all was seen')
  await expect.poll(() => commands.at(-1)).toBe('end')
  monitor.disconnect()
  expect(commands).toEqual(['set', 'get', 'del', 'end'])
})

describe.each(places)('behind @fastify/session: $where', ({ connect }) => {
  for (const each of userCases) {
    test(each.name, () =>
      each.run(() => {
        const prefix = freshPrefix()
        const open = () => new RedisStore({ client: connect(), prefix, ...userOptions })
        return [open(), open()]
      }),
    )
  }
})

describe.each(places)('kill -9 of the application between two steps of a log-in: $where', ({ addresses, connect }) => {
  test('leaves no live session that its user’s list does not show', async () => {
    const client = connect()
    let which = 1
    for (let isKilled = true; isKilled; which += 1) {
      const prefix = freshPrefix()
      const store = new RedisStore({ client, prefix, userOf })
      for (const id of ['phone', 'laptop']) await store.set(id, { user: 'ada' })
      isKilled = await logIn(addresses, prefix, which)
      for (const user of ['ada', 'bob']) {
        const live: string[] = []
        for await (const { handle, session } of store.scan()) if (session.user === user) live.push(handle)
        const listed = (await store.listByUser(user)).map(({ handle }) => handle)
        expect(listed.sort(), `${user}, killed before command ${which}`).toEqual(live.sort())
        expect(await store.destroyByUser(user)).toBe(live.length)
      }
    }
    expect(which).toBeGreaterThan(6)
  })
})

/** Answers whether the application was killed before it sent that command. */
async function logIn(addresses: Array<{ port: number }>, prefix: string, which: number): Promise<boolean> {
  const flags = process.features.typescript ? [] : ['--experimental-strip-types']
  const script = join(import.meta.dirname, 'log-in-worker.ts')
  const ports = JSON.stringify(addresses.map(({ port }) => port))
  const worker = promisify(execFile)(process.execPath, [...flags, script, ports, prefix, `${which}`])
  return worker.then(
    () => false,
    (error) => {
      if (error.signal !== 'SIGKILL') throw error
      return true
    },
  )
}
