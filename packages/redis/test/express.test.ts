import { expressStore } from '@session-stores/core/express'
import { expressCases, expressListCases } from '@session-stores/testing/express-cases'
import { RedisClusterServers, RedisServer } from '@session-stores/testing/redis'
import { afterAll, describe, test } from 'vitest'
import { RedisStore } from '../src/index.ts'
import { freshPrefix, ioredis } from './drivers.ts'

const server = await RedisServer.start()
const servers = await RedisClusterServers.start()
afterAll(() => Promise.all([server.stop(), servers.stop()]))

const clients = { 'one server': ioredis.redis(server), Cluster: ioredis.cluster(servers.addresses) }

describe.each(Object.entries(clients))('RedisStore behind express-session: %s', (_where, client) => {
  for (const { name, run } of [...expressCases, ...expressListCases]) {
    test(name, () =>
      run((StoreClass) => {
        const store = new RedisStore({ client, prefix: freshPrefix() })
        return Object.assign(expressStore(StoreClass, store), { close: () => store.close() })
      }),
    )
  }
})
