import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { newVersion } from '@session-stores/core'
import { RedisClusterServers, RedisServer } from '@session-stores/testing/redis'
import type { Cluster, Redis } from 'ioredis'
import { afterAll, describe, expect, test } from 'vitest'
import { RedisStore } from '../src/index.ts'
import { drivers, freshPrefix, ioredis } from './drivers.ts'

const server = await RedisServer.start()
const servers = await RedisClusterServers.start()
afterAll(() => Promise.all([server.stop(), servers.stop()]))

const places: Array<{ where: string; connect(options?: object): Redis | Cluster }> = [
  ...drivers.map((driver) => ({
    where: `one server, ${driver.name}`,
    connect: (options?: object) => driver.redis(server, options),
  })),
  ...drivers.map((driver) => ({
    where: `Cluster, ${driver.name}`,
    connect: (options?: object) => driver.cluster(servers.addresses, options),
  })),
]

async function fill(store: RedisStore, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, n) => `id${n}`)
  for (let from = 0; from < count; from += 300) {
    await Promise.all(ids.slice(from, from + 300).map((id) => store.set(id, { id })))
  }
  return ids
}

async function idsOf(store: RedisStore): Promise<string[]> {
  const ids = new Set<string>()
  for await (const { handle, session } of store.scan()) {
    expect(handle).toBe(hash('sha256', session.id, 'base64url'))
    ids.add(session.id)
  }
  return [...ids].sort()
}

/** All keys on the servers that begin so. */
async function keysUnder(prefix: string): Promise<string[]> {
  const all = await Promise.all([server, ...(await servers.masters())].map((each) => each.cli('KEYS', `${prefix}*`)))
  return all.flatMap((text) => text.split('\n').filter(Boolean))
}

describe.each(places)('$where', ({ connect }) => {
  test('more sessions than one SCAN answers: all are counted once, listed and cleared', async () => {
    const store = new RedisStore({ client: connect(), prefix: freshPrefix() })
    const ids = await fill(store, 3000)
    expect(await store.count()).toBe(3000)
    expect(await idsOf(store)).toEqual(ids.sort())
    await store.clear()
    expect(await store.count()).toBe(0)
    expect(await idsOf(store)).toEqual([])
  })

  test('a store sees and clears its own prefix only, whatever is in it', async () => {
    const client = connect()
    const odd = [
      '*',
      '?',
      'a*',
      'a?',
      '[ab]',
      'a',
      'b',
      '[^a]',
      '\\',
      '\\*',
      'a\\',
      '漢',
      '漢*',
      ':',
      '{a}',
      '{',
      '}',
      '\n',
    ]
    const stores = odd.map((prefix) => new RedisStore({ client, prefix: `odd:${prefix}` }))
    await Promise.all(stores.map((store) => fill(store, 3)))
    for (const [n, store] of stores.entries()) {
      expect(await store.count(), odd[n]).toBe(3)
      expect(await idsOf(store), odd[n]).toEqual(['id0', 'id1', 'id2'])
    }
    for (const [n, store] of stores.entries()) {
      await store.clear()
      for (const [m, other] of stores.entries()) expect(await other.count(), odd[m]).toBe(m <= n ? 0 : 3)
    }
  })

  test('the indexes of users are no sessions, and go with them', async () => {
    const client = connect()
    const [prefix, own] = [freshPrefix(), freshPrefix()]
    const store = new RedisStore({ client, prefix, userOf: ({ id }) => id })
    const among = new RedisStore({ client, prefix: `${prefix}user:`, userOf: ({ id }) => id })
    const untouched = new RedisStore({ client, prefix: own, userOf: ({ id }) => id })
    for (const each of [store, among, untouched]) await fill(each, 3)
    expect(await store.count()).toBe(3)
    expect(await idsOf(store)).toEqual(['id0', 'id1', 'id2'])
    expect(await keysUnder(prefix)).toHaveLength(12)
    await store.clear()
    expect(await keysUnder(prefix)).toHaveLength(6)
    expect(await among.count()).toBe(3)
    for (const each of [among, untouched]) expect(await each.listByUser('id1')).toHaveLength(1)
    await among.clear()
    expect(await keysUnder(prefix)).toEqual([])
    expect(await keysUnder(own)).toHaveLength(6)
  })

  test('what else begins with the prefix is left alone', async () => {
    const client = connect()
    const prefix = freshPrefix()
    const store = new RedisStore({ client, prefix })
    await fill(store, 3)
    const foreign = [
      '',
      'x',
      `user:${'x'.repeat(42)}:sessions`,
      'x'.repeat(42),
      'x'.repeat(44),
      `${'x'.repeat(42)}!`,
      `user:${'x'.repeat(43)}`,
    ]
    await Promise.all(foreign.map((rest) => client.set(prefix + rest, 'foreign', 'PX', 60_000)))
    expect(await store.count()).toBe(3)
    expect(await idsOf(store)).toEqual(['id0', 'id1', 'id2'])
    await store.clear()
    for (const rest of foreign) expect(await client.get(prefix + rest)).toBe('foreign')
  })

  test('a client with a prefix of its own works, and shares sessions with one that has none', async () => {
    const own = freshPrefix()
    const prefixed = new RedisStore({ client: connect({ keyPrefix: `${own}*` }), prefix: 'b:' })
    const plain = new RedisStore({ client: connect(), prefix: `${own}*b:` })
    await fill(prefixed, 3)
    const session = await plain.get('id1')
    await plain.set('id1', { ...session, more: true })
    expect(await prefixed.get('id1')).toMatchObject({ id: 'id1', more: true })
    for (const store of [prefixed, plain]) {
      expect(await store.count()).toBe(3)
      expect(await idsOf(store)).toEqual(['id0', 'id1', 'id2'])
    }
    await prefixed.destroy('id0')
    expect(await plain.count()).toBe(2)
    await prefixed.clear()
    expect(await plain.count()).toBe(0)
  })
})

describe('with the permissions that the README lists, and no others', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const [, all = '', more = ''] = /`(~sess:\* \+[^`]+)`, and in a Cluster `([^`]+)`/.exec(readme) ?? []
  const user = { username: 'app', password: 'secret' }
  const grant = async (to: RedisServer, rules: string) => {
    expect(await to.cli('ACL', 'SETUSER', 'app', 'reset', 'on', '>secret', ...rules.split(' '))).toBe('OK')
    await to.cli('ACL', 'LOG', 'RESET')
  }

  async function useEverything(client: Redis | Cluster): Promise<void> {
    const store = new RedisStore({ client, touchInterval: 0, userOf: ({ user }) => user })
    const cookie = (ms: number) => ({ expires: new Date(Date.now() + ms), originalMaxAge: 60_000 })
    await store.set('id', { id: 'id', cookie: cookie(60_000) })
    await store.set('id', { ...(await store.get('id')), cookie: cookie(90_000) })
    await store.set('id', { ...(await store.get('id')), more: true })
    expect(await store.get('id')).toMatchObject({ more: true })
    expect(await idsOf(store)).toEqual(['id'])
    await store.backend.insert?.('k'.repeat(43), { data: '{}', createdAt: 1, expiresAt: Date.now() }, newVersion())
    await Promise.all(['a', 'b', 'c'].map((id) => store.set(id, { id, user: 'ada', cookie: cookie(60_000) })))
    const all = await Promise.all(['a', 'b', 'c'].map((id) => store.get(id)))
    await Promise.all(all.map((session) => store.set(session.id, { ...session, cookie: cookie(90_000), more: true })))
    await store.destroy('a')
    expect(await store.destroyByUser('ada', { except: 'b' })).toBe(1)
    expect(await store.listByUser('ada')).toHaveLength(1)
    await store.ping()
    await store.clear()
    expect(await store.count()).toBe(0)
    await store.destroy('id')
  }

  /** While new keys of this key's slot go to another server already. */
  async function whileItsSlotIsMoved(key: string, act: () => Promise<void>): Promise<void> {
    const slot = await (servers.servers[0] as RedisServer).cli('CLUSTER', 'KEYSLOT', key)
    const from = await servers.masterOf(key)
    const to = (await servers.masters()).find((master) => master !== from) as RedisServer
    await to.cli('CLUSTER', 'SETSLOT', slot, 'IMPORTING', await from.cli('CLUSTER', 'MYID'))
    await from.cli('CLUSTER', 'SETSLOT', slot, 'MIGRATING', await to.cli('CLUSTER', 'MYID'))
    await act()
    for (const each of [from, to]) await each.cli('CLUSTER', 'SETSLOT', slot, 'STABLE')
  }

  test.each(drivers)('everything works: one server, $name', async (driver) => {
    await grant(server, all)
    await server.cli('SCRIPT', 'FLUSH')
    await useEverything(driver.redis(server, { ...user, db: 2, connectionName: 'shop' }))
    expect(await server.cli('ACL', 'LOG'), 'nothing was denied').toBe('')
  })

  test.each(drivers)('everything works: Cluster, $name', async (driver) => {
    await Promise.all(servers.servers.map((each) => grant(each, `${all} ${more}`)))
    const client = driver.cluster(servers.addresses, { redisOptions: user, lazyConnect: true })
    await useEverything(client)
    await whileItsSlotIsMoved(`sess:${hash('sha256', 'id', 'base64url')}`, () => useEverything(client))
    for (const each of servers.servers) expect(await each.cli('ACL', 'LOG'), 'nothing was denied').toBe('')
  })

  test('nobody else’s connections can be held up or cut', async () => {
    await grant(server, all)
    const client = ioredis.redis(server, user)
    for (const command of ['pause 1', 'kill id 1', 'list', 'unpause']) {
      await expect(client.call('client', ...command.split(' '))).rejects.toThrow(/^NOPERM /)
    }
  })
})

describe('a Cluster that changes', () => {
  test('while slots move, every session is listed and counted, and clearing leaves none', async () => {
    const store = new RedisStore({ client: ioredis.cluster(servers.addresses), prefix: freshPrefix() })
    const ids = (await fill(store, 600)).sort()
    const [a, b, c] = (await servers.masters()) as [RedisServer, RedisServer, RedisServer]
    let moving = true
    let rounds = 0
    const move = async () => {
      do {
        await servers.reshard(a, b, 300)
        await servers.reshard(b, c, 300)
        await servers.reshard(c, a, 300)
      } while (rounds < 3 && moving)
      moving = false
    }
    const look = async () => {
      while (moving) {
        expect(await store.count()).toBe(600)
        expect(await idsOf(store)).toEqual(ids)
        rounds += 1
      }
    }
    await Promise.all([
      move(),
      look().finally(() => {
        moving = false
      }),
    ])
    const again = servers.reshard(a, c, 300)
    await store.clear()
    await again
    expect(await store.count()).toBe(0)
  })

  test('while a master is down, what it has is never taken for nothing', async () => {
    const store = new RedisStore({ client: ioredis.cluster(servers.addresses), prefix: freshPrefix() })
    const ids = (await fill(store, 300)).sort()
    const [master] = (await servers.masters()) as [RedisServer]
    await master.kill()
    const unlessDown = <T>(answer: Promise<T>) =>
      answer.catch((error) => {
        expect(error).toMatchObject({ statusCode: 503 })
        return 'down'
      })
    const answers: unknown[] = []
    const count = async () => {
      answers.push(await unlessDown(store.count()))
      return answers.at(-1)
    }
    await expect.poll(count, { timeout: 20_000 }).toBe(300)
    expect(answers.filter((answer) => answer !== 'down' && answer !== 300)).toEqual([])
    await expect.poll(() => unlessDown(idsOf(store))).toEqual(ids)
    await store.clear()
    expect(await store.count()).toBe(0)
    await master.start()
    await servers.whole()
    expect(await store.count()).toBe(0)
  })
})
