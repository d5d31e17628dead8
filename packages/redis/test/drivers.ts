import type { SentinelServers } from '@session-stores/testing/redis'
import * as ioredis6 from 'ioredis'
import * as ioredis5 from 'ioredis5'
import { afterAll } from 'vitest'

type Address = { host: string; port: number }

/** A way to talk to Redis that users may have: version of the driver, protocol, shape of replies. */
export interface Driver {
  name: string
  redis(server: { port: number }, options?: object): ioredis6.Redis
  sentinel(servers: SentinelServers, options?: object): ioredis6.Redis
  cluster(nodes: Address[], options?: object): ioredis6.Cluster
}

const clients = new Set<{ disconnect(): void }>()
afterAll(() => {
  for (const client of clients) client.disconnect()
})

export const drivers: Driver[] = [
  driver('ioredis 6, RESP3', ioredis6),
  driver('ioredis 6, RESP3 with its reply types', ioredis6, { replyMapping: 'resp3' }),
  driver('ioredis 6, RESP2', ioredis6, { protocol: 2 }),
  driver('ioredis 5', ioredis5 as unknown as typeof ioredis6),
]

/** Where one driver does. */
export const [ioredis] = drivers as [Driver]

function driver(name: string, { Redis, Cluster }: typeof ioredis6, base: object = {}): Driver {
  const known = <Client extends ioredis6.Redis | ioredis6.Cluster>(client: Client): Client => {
    client.on('error', () => {}) // outages are what these tests are about
    clients.add(client)
    return client
  }
  return {
    name,
    redis: ({ port }, options) => known(new Redis({ host: '127.0.0.1', port, ...base, ...options })),
    sentinel: ({ addresses, name }, options) => known(new Redis({ sentinels: addresses, name, ...base, ...options })),
    cluster: (nodes, { redisOptions, ...options }: { redisOptions?: object } = {}) =>
      known(new Cluster(nodes, { redisOptions: { ...base, ...redisOptions }, ...options })),
  }
}

let prefixes = 0

/** A prefix that nothing else on the server has: to a store, an empty server. */
export function freshPrefix(): string {
  prefixes += 1
  return `test${prefixes}:`
}
