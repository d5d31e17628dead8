import { expressStore } from '@session-stores/core/express'
import { type Move, movingInCases, type OldStore } from '@session-stores/testing/moving-in-cases'
import { RedisServer } from '@session-stores/testing/redis'
import { RedisStore as ConnectRedis10 } from 'connect-redis'
import { RedisStore as ConnectRedis8 } from 'connect-redis-8'
import { createClient } from 'redis'
import { afterAll, describe, test } from 'vitest'
import { RedisStore } from '../src/index.ts'
import { ioredis } from './drivers.ts'

const server = await RedisServer.start()
const client = ioredis.redis(server)
const nodeRedis = await createClient({ url: server.url }).connect()
afterAll(async () => {
  nodeRedis.destroy()
  await server.stop()
})

describe.each<[string, () => OldStore]>([
  ['connect-redis 10 on node-redis', () => new ConnectRedis10({ client: nodeRedis })],
  ['connect-redis 8 on ioredis', () => new ConnectRedis8({ client })],
])('from %s', (_, openOld) => {
  test.each(movingInCases(expressStore))('$name', ({ run }) => run(() => makeMove(openOld)))
})

/** With each store as it is by default: both have the same prefix, on the same server. */
async function makeMove(openOld: () => OldStore): Promise<Move> {
  await server.cli('FLUSHALL')
  const ids = `sess:${'?'.repeat(32)}` // of either plugin; our keys end in 43 characters
  return {
    openOld,
    openNew: (options) => new RedisStore({ client, ...options }),
    countOld: async () => (await client.keys(ids)).length,
  }
}
