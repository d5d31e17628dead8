import { RedisStore } from '@session-stores/redis'
import { Cluster, Redis } from 'ioredis'
import type { Opener } from '../opener.ts'

interface Address {
  host: string
  port: number
}

export type RedisSettings =
  | (Address & { password?: string })
  | { sentinels: Address[]; name: string }
  | { nodes: Address[] }

export const open: Opener<RedisSettings>['open'] = async (settings, options, log) => {
  const client = 'nodes' in settings ? new Cluster(settings.nodes) : new Redis(settings)
  client.on('error', log)
  return { store: new RedisStore({ client, ...options }), close: () => client.disconnect() }
}
