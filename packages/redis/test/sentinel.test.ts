import { until } from '@session-stores/testing'
import { type RedisServer, SentinelServers } from '@session-stores/testing/redis'
import { afterAll, describe, onTestFinished, test } from 'vitest'
import { testContract } from './contract.ts'
import { drivers } from './drivers.ts'
import { underLoad } from './load.ts'

const servers = await SentinelServers.start()
afterAll(() => servers.stop())

for (const driver of drivers) testContract(`Sentinel, ${driver.name}`, driver.sentinel(servers))

describe('a Sentinel set under load, with every driver', () => {
  for (const [what, fail, wellAfter] of [
    ['killed', (master: RedisServer) => master.kill(), 1500],
    ['frozen', async (master: RedisServer) => master.pause(), 5000],
  ] as const) {
    test(`the master is ${what}: 503 until the replica has taken over, then all is well`, async () => {
      const set = await SentinelServers.start()
      onTestFinished(() => set.stop())
      await underLoad(
        drivers.map((driver) => driver.sentinel(set)),
        async (loads) => {
          const master = await set.master()
          await set.replicated()
          await fail(master)
          await until('the replica has taken over', async () => (await set.master()) !== master)
          const wellAt = performance.now() + wellAfter
          await Promise.all(loads.map((load) => load.turns()))
          await until('failures would show', () => performance.now() > wellAt)
          await Promise.all(loads.map((load) => load.turns()))
          for (const load of loads) load.expectOnlyUnavailable(wellAt)
        },
      )
    })
  }
})
