import { MemcachedStore } from '@session-stores/memcached'
import { Client } from 'memjs'
import type { Opened, Setup } from './opened.ts'
import { serverFor } from './own-server.ts'

export async function openMemcached({ env, options }: Setup): Promise<Opened> {
  const { url, where, server } = await serverFor('memcached', env)
  const client = Client.create(url)
  return {
    store: new MemcachedStore({ client, ...options }),
    where,
    atRest: async (handle) => {
      const { value: generation } = await client.get('sess:generation')
      const { value } = await client.get(`sess:${generation}:${handle}`)
      return value?.toString()
    },
    server,
    close: async () => {
      client.close()
      await server?.stop()
    },
  }
}
