import { RedisStore } from '@session-stores/redis'
import { Redis } from 'ioredis'
import { ignore, type Opened, type Setup } from './opened.ts'
import { serverFor } from './own-server.ts'

export async function openRedis({ env, options }: Setup): Promise<Opened> {
  const { url, where, server } = await serverFor('redis', env)
  const client = new Redis(url)
  client.on('error', ignore)
  return {
    store: new RedisStore({ client, ...options }),
    where,
    atRest: async (handle) => (await client.get(`sess:${handle}`)) ?? undefined,
    server,
    close: async () => {
      client.disconnect()
      await server?.stop()
    },
  }
}
