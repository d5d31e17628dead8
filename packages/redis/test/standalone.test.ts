import { RedisServer } from '@session-stores/testing/redis'
import { afterAll } from 'vitest'
import { testContract } from './contract.ts'
import { drivers } from './drivers.ts'

const server = await RedisServer.start()
afterAll(() => server.stop())

for (const driver of drivers) testContract(`one server, ${driver.name}`, driver.redis(server))
