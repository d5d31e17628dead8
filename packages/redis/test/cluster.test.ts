import { hash } from 'node:crypto'
import { until } from '@session-stores/testing'
import { RedisClusterServers, type RedisServer } from '@session-stores/testing/redis'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { RedisStore } from '../src/index.ts'
import { testContract } from './contract.ts'
import { drivers, freshPrefix } from './drivers.ts'
import { underLoad } from './load.ts'
import { Stalls } from './stalls.ts'

const servers = await RedisClusterServers.start()
afterAll(() => servers.stop())

for (const driver of drivers) testContract(`Cluster, ${driver.name}`, driver.cluster(servers.addresses))

describe('a Cluster under load, with every driver', () => {
  const clients = drivers.map((driver) => driver.cluster(servers.addresses))

  test('slots move: nobody notices', async () => {
    await underLoad(clients, async (loads) => {
      const [a, b, c] = (await servers.masters()) as [RedisServer, RedisServer, RedisServer]
      await servers.reshard(a, b, 200)
      await servers.reshard(b, c, 200)
      await servers.reshard(c, a, 200)
      await Promise.all(loads.map((load) => load.end()))
      for (const load of loads) {
        expect(load.failures).toEqual([])
        expect(load.missing).toBe(0)
        await load.expectNothingLost()
      }
    })
  })

  test('a master is killed: 503 until its replica has taken over, then all is well', async () => {
    await underLoad(clients, async (loads) => {
      const [master] = (await servers.masters()) as [RedisServer]
      await servers.replicated()
      await master.kill()
      await replaced(master)
      const wellAt = performance.now() + 1000
      await Promise.all(loads.map((load) => load.turns()))
      await master.start()
      await servers.whole()
      await Promise.all(loads.map((load) => load.turns()))
      for (const load of loads) load.expectOnlyUnavailable(wellAt)
    })
  })

  test('a master is frozen: the same, though its connections stay open', async () => {
    await underLoad(clients, async (loads) => {
      const [master] = (await servers.masters()) as [RedisServer]
      await servers.replicated()
      master.pause()
      await replaced(master)
      const wellAt = performance.now() + 5000
      await Promise.all(loads.map((load) => load.turns()))
      master.resume()
      await servers.whole()
      await Promise.all(loads.map((load) => load.turns()))
      for (const load of loads) load.expectOnlyUnavailable(wellAt)
    })
  })

  test('all servers are killed, and come back: requests work again', async () => {
    await underLoad(clients, async (loads) => {
      await Promise.all(servers.servers.map((server) => server.kill()))
      for (const { store } of loads) await expect(store.get('user0')).rejects.toMatchObject({ statusCode: 503 })
      await Promise.all(servers.servers.map((server) => server.start()))
      await servers.whole()
      for (const { store } of loads) {
        await expect.poll(() => store.set('new', { a: 1 }).catch((error) => error.message)).toBeUndefined()
        expect(await store.get('new')).toMatchObject({ a: 1 })
      }
    })
  })
})

describe('a Cluster with one master that is frozen and not replaced', async () => {
  const halves = await RedisClusterServers.start()
  afterAll(() => halves.stop())
  for (const server of halves.servers) {
    await server.cli('CONFIG', 'SET', 'cluster-require-full-coverage', 'no')
    await server.cli('CONFIG', 'SET', 'cluster-replica-no-failover', 'yes')
  }

  test.each(drivers)('its sessions cost one deadline and then a moment, others nothing: $name', async (driver) => {
    await until('nobody is thought to be down', async () => {
      const views = await Promise.all(halves.servers.map((server) => server.report('CLUSTER NODES')))
      return !views.some((view) => /\bfail\b/.test(view))
    })
    const prefix = freshPrefix()
    const store = new RedisStore({ client: driver.cluster(halves.addresses), prefix })
    const [frozen] = (await halves.masters()) as [RedisServer]
    const [theirs, others] = [[] as string[], [] as string[]]
    for (let n = 0; n < 60; n += 1) {
      await store.set(`id${n}`, { n })
      const master = await halves.masterOf(prefix + hash('sha256', `id${n}`, 'base64url'))
      if (master === frozen) theirs.push(`id${n}`)
      else others.push(`id${n}`)
    }
    const down = () => expect(store.get(theirs[0] as string)).rejects.toMatchObject({ statusCode: 503 })
    /** ms that this machine did not take from us */
    const timed = async (work: Promise<unknown>) => {
      const stalls = new Stalls()
      const begun = performance.now()
      await work
      stalls.stop()
      return performance.now() - begun - stalls.total
    }

    frozen.pause()
    onTestFinished(() => frozen.resume())
    let rounds = 0
    let isWaiting = true
    const first = timed(down()).finally(() => {
      isWaiting = false
    })
    while (isWaiting) {
      await Promise.all(others.map(async (id) => expect(await store.get(id)).not.toBeNull()))
      rounds += 1
    }
    expect(await first).toBeLessThan(2100)
    expect(rounds, 'while one of theirs waits').toBeGreaterThan(20)
    for (let n = 0; n < 5; n += 1) {
      expect(await timed(down()), 'known to be down').toBeLessThan(500)
      for (const id of others) expect(await store.get(id)).not.toBeNull()
    }
    frozen.resume()
    await frozen.cli('PING') // it has come to itself
    await expect.poll(() => store.get(theirs[0] as string).catch(() => 'down')).toMatchObject({ n: expect.any(Number) })
    for (const id of [...theirs, ...others]) expect(await store.get(id)).not.toBeNull()
  })
})

/** Resolves when another server has the slots of this one. */
async function replaced(master: RedisServer): Promise<void> {
  await until('the replica has taken over', async () => {
    const masters = await servers.masters()
    return masters.length === 3 && !masters.includes(master)
  })
}
