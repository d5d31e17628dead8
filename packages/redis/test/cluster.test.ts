import { RedisClusterServers } from '@session-stores/testing/redis'
import { afterAll } from 'vitest'
import { testContract } from './contract.ts'
import { drivers } from './drivers.ts'

const servers = await RedisClusterServers.start()
afterAll(() => servers.stop())

for (const driver of drivers) testContract(`Cluster, ${driver.name}`, driver.cluster(servers.addresses))
