import { RedisServer } from '@session-stores/testing/redis'
import { Redis } from 'ioredis'
import type { Place } from '../contestants/contestant.ts'
import { outagesOf, type Server } from './server.ts'

/** A Redis without persistence. All contestants share it, and its keys, but each has its sessions to itself. */
export async function startRedis(): Promise<Server> {
  const server = await RedisServer.start()
  const admin = new Redis(server.port)
  admin.on('error', () => {}) // during the outages
  const number = async (section: string, name: string) =>
    Number(new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(await admin.info(section))?.[1])
  const version = /redis_version:(\S+)/.exec(await admin.info('server'))?.[1]
  return {
    version: `Redis ${version}`,
    port: server.port,
    get pid() {
      return server.pid
    },
    placeFor: async () => placeOn(server.port),
    clear: async () => {
      await admin.flushall()
    },
    dump: async () => {
      const keys = await admin.keys('*')
      return [...keys, ...(await Promise.all(keys.map((key) => admin.get(key))))].join('\n')
    },
    spoil: async () => {
      for (const key of await admin.keys('*')) await admin.set(key, 'not json', 'KEEPTTL')
    },
    size: () => number('memory', 'used_memory'),
    commands: async () => {
      const lines = (await admin.info('commandstats')).matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)
      return Object.fromEntries(Array.from(lines, ([, name, calls]) => [name, Number(calls)]))
    },
    keepsForEver: async (text) => {
      for (const key of await admin.keys('*')) {
        if ((await admin.get(key))?.includes(text) && (await admin.pttl(key)) === -1) return true
      }
      return false
    },
    outages: outagesOf({
      pause: () => server.pause(),
      resume: () => server.resume(),
      kill: () => server.kill(),
      comeBack: () => server.start(),
    }),
    stop: async () => {
      admin.disconnect()
      await server.stop()
    },
  }
}

export function placeOn(port: number): Place {
  return { port, database: '', file: '' }
}
