import { until } from '@session-stores/testing'
import { RedisClusterServers, type RedisServer } from '@session-stores/testing/redis'
import { afterAll, describe, expect, test } from 'vitest'
import { testContract } from './contract.ts'
import { drivers } from './drivers.ts'
import { underLoad } from './load.ts'

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

/** Resolves when another server has the slots of this one. */
async function replaced(master: RedisServer): Promise<void> {
  await until('the replica has taken over', async () => {
    const masters = await servers.masters()
    return masters.length === 3 && !masters.includes(master)
  })
}
