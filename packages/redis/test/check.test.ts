import type { Finding } from '@session-stores/core'
import { until } from '@session-stores/testing'
import { RedisClusterServers, RedisServer } from '@session-stores/testing/redis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { linesOf, version } from '../src/check.ts'
import { RedisStore, type RedisStoreOptions } from '../src/index.ts'
import { drivers, ioredis } from './drivers.ts'

/** Nothing is wrong with it. */
const SOUND = ['--appendonly', 'yes', '--maxmemory', '64mb']

async function startServer(...options: string[]): Promise<RedisServer> {
  const server = await RedisServer.start(...options)
  onTestFinished(() => server.stop())
  return server
}

function storeOn(server: RedisServer, options: Partial<RedisStoreOptions> = {}, driver = ioredis): RedisStore {
  const store = new RedisStore({ client: driver.redis(server, { lazyConnect: true }), ...options })
  onTestFinished(() => store.close())
  return store
}

/** The one finding, in short. */
async function findingOf(store: RedisStore): Promise<string> {
  const findings = await store.check()
  expect(findings).toHaveLength(1)
  const [{ severity, what }] = findings as [Finding]
  return `${severity}: ${what}`
}

test.each(drivers)('check finds nothing on a sound server: $name', async (driver) => {
  const server = await startServer(...SOUND)
  expect(await storeOn(server, {}, driver).check()).toEqual([])
})

describe('check finds', () => {
  test('an eviction policy that may drop sessions, and that it did', async () => {
    const server = await startServer(...SOUND, '--maxmemory', '3mb', '--maxmemory-policy', 'allkeys-lru')
    const store = storeOn(server)
    expect(await findingOf(store)).toBe('warning: maxmemory-policy is allkeys-lru')
    await until('something was evicted', async () => {
      await Promise.all(Array.from({ length: 50 }, () => store.set(`${Math.random()}`, { text: 'x'.repeat(10_000) })))
      return Number(/evicted_keys:(\d+)/.exec(await server.cli('INFO', 'stats'))?.[1]) > 0
    })
    expect(await store.check()).toContainEqual(
      expect.objectContaining({
        severity: 'error',
        what: expect.stringMatching(/^maxmemory-policy is allkeys-lru, and \d+ keys were evicted since it started$/),
      }),
    )
    // Without a limit nothing is ever evicted.
    expect(
      await storeOn(await startServer('--appendonly', 'yes', '--maxmemory-policy', 'allkeys-lru')).check(),
    ).toEqual([])
  })

  test('that the memory is nearly full', async () => {
    const server = await startServer(...SOUND, '--maxmemory', '4mb')
    const store = storeOn(server)
    await until('the memory is full', () =>
      store.set(`${Math.random()}`, { text: 'x'.repeat(50_000) }).then(
        () => false,
        () => true,
      ),
    )
    expect(await findingOf(store)).toMatch(/^error: (9\d|100) % of maxmemory, 4 MiB, is used$/)
  })

  test('that nothing is kept on disk, or snapshots only', async () => {
    const server = await startServer()
    const store = storeOn(server)
    expect(await findingOf(store)).toBe('advice: the server keeps nothing on disk')
    await server.cli('CONFIG', 'SET', 'save', '3600 1 300 100')
    expect(await findingOf(store)).toBe(
      'warning: the server makes snapshots (save 3600 1 300 100) and keeps no append-only file',
    )
    await server.cli('CONFIG', 'SET', 'appendonly', 'yes')
    expect(await store.check()).toEqual([])
  })

  test('that it reads from a replica', async () => {
    const master = await startServer()
    const replica = await startServer(...SOUND, '--replicaof', `127.0.0.1 ${master.port}`)
    expect(await findingOf(storeOn(replica))).toBe(`error: the server is a replica, of 127.0.0.1:${master.port}`)
  })

  test('a clock that is off by minutes', async () => {
    const server = await startServer(...SOUND)
    const at = (minutes: number) => storeOn(server, { now: () => Date.now() + minutes * 60_000 })
    expect(await at(0.5).check()).toEqual([])
    const what = 'the clock of the server and that of this process are'
    expect(await findingOf(at(-3))).toBe(`warning: ${what} 3 min apart`)
    expect(await findingOf(at(7))).toBe(`error: ${what} 7 min apart`)
  })

  // By the text of INFO: there is no server here that is as old.
  test('a release that is too old', () => {
    expect(version(linesOf('# Server\r\nredis_version:5.0.14\r\nredis_mode:standalone\r\n'))).toMatchObject([
      { severity: 'warning', what: 'the server is Redis 5.0.14' },
    ])
    expect(version(linesOf('# Server\r\nredis_version:7.0.15\r\n'))).toEqual([])
  })

  test('on which master of a Cluster it is', async () => {
    const servers = await RedisClusterServers.start()
    onTestFinished(() => servers.stop())
    const masters = await servers.masters()
    await Promise.all(masters.map((master) => master.cli('CONFIG', 'SET', 'appendonly', 'yes')))
    await masters[1]?.cli('CONFIG', 'SET', 'maxmemory', '1gb')
    await masters[1]?.cli('CONFIG', 'SET', 'maxmemory-policy', 'volatile-ttl')
    const store = new RedisStore({ client: ioredis.cluster(servers.addresses) })
    onTestFinished(() => store.close())
    expect(await findingOf(store)).toBe(`warning: 127.0.0.1:${masters[1]?.port}: maxmemory-policy is volatile-ttl`)
  })

  test('what the access list does not let it look at', async () => {
    const server = await startServer(...SOUND, '--appendonly', 'no')
    const rights = '~* +hello +ping +get +client|setname'
    const storeOf = async (user: string, more: string) => {
      await server.cli('ACL', 'SETUSER', user, 'on', '>secret', ...rights.split(' '), ...more.split(' '))
      const client = ioredis.redis(server, { username: user, password: 'secret', lazyConnect: true })
      const store = new RedisStore({ client })
      onTestFinished(() => store.close())
      return store
    }
    expect(await findingOf(await storeOf('all', '+info +time +config|get'))).toBe(
      'advice: the server keeps nothing on disk',
    )
    expect(await findingOf(await storeOf('some', '+info'))).toBe(
      'advice: the server keeps no append-only file; whether it makes snapshots, the user of the connection may not ask',
    )
    expect(await findingOf(await storeOf('none', '-info'))).toBe(
      'advice: the user of the connection may not ask for INFO',
    )
  })
})
