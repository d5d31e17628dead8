import { SentinelServers } from '@session-stores/testing/redis'
import { afterAll } from 'vitest'
import { testContract } from './contract.ts'
import { drivers } from './drivers.ts'

const servers = await SentinelServers.start()
afterAll(() => servers.stop())

for (const driver of drivers) testContract(`Sentinel, ${driver.name}`, driver.sentinel(servers))
