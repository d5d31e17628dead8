import { MemcachedStore } from '@session-stores/memcached'
import memjs from 'memjs'
import type { Opener } from '../opener.ts'

export interface MemcachedSettings {
  /** `'host:port,host:port'` */
  servers: string
  login?: { username: string; password: string }
}

export const open: Opener<MemcachedSettings>['open'] = async ({ servers, login = {} }, options) => {
  const client = memjs.Client.create(servers, login)
  return { store: new MemcachedStore({ client, ...options }), close: () => client.close() }
}
