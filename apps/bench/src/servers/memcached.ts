import { MemcachedServer } from '@session-stores/testing/memcached'
import { placeOn } from './redis.ts'
import { outagesOf, type Server } from './server.ts'

/** What `stats` counts commands by. */
const COUNTERS = [
  'cmd_get',
  'cmd_set',
  'cmd_touch',
  'delete_hits',
  'delete_misses',
  'incr_hits',
  'incr_misses',
] as const

/** A memcached with room for a million sessions. All contestants share it. */
export async function startMemcached(): Promise<Server> {
  const server = await MemcachedServer.start('-m', '4096')
  return {
    version: `Memcached ${(await server.ask('version')).replace('VERSION', '').trim()}`,
    port: server.port,
    get pid() {
      return server.pid
    },
    placeFor: async () => placeOn(server.port),
    clear: async () => {
      await server.ask('flush_all')
    },
    dump: async () => {
      const keys = await server.keys()
      return [...keys, ...(await Promise.all(keys.map((key) => server.ask(`get ${key}`))))].join('\n')
    },
    spoil: async () => {
      const text = 'not json'
      for (const key of await server.keys()) await server.ask(`set ${key} 0 60 ${text.length}\r\n${text}`)
    },
    size: () => server.stat('bytes'),
    commands: async () => {
      const stats = await server.ask('stats')
      const counted = (name: string) => Number(new RegExp(`STAT ${name} (\\d+)`).exec(stats)?.[1] ?? 0)
      return Object.fromEntries(COUNTERS.map((name) => [name.replace('cmd_', ''), counted(name)]))
    },
    keepsForEver: async (text) => {
      for (const key of await server.keys()) {
        if ((await server.ask(`get ${key}`)).includes(text) && (await server.secondsLeft(key)) === -1) return true
      }
      return false
    },
    outages: outagesOf({
      pause: () => server.pause(),
      resume: () => server.resume(),
      kill: () => server.kill(),
      comeBack: () => server.start(),
    }),
    stop: () => server.stop(),
  }
}
