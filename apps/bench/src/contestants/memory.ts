import fastifySession from '@fastify/session'
import type { Contestant, Store } from './contestant.ts'
import { openOurs, packageOf } from './ours.ts'

/** What every ratio to "the plugin's MemoryStore" refers to. */
export const REFERENCE = '@fastify/session MemoryStore'

export const memory: Contestant[] = [
  {
    name: 'MemoryStore',
    kind: 'memory',
    role: 'ours',
    packages: ['@session-stores/core'],
    open: async (place) => {
      const { MemoryStore } = await packageOf('core', place, () => import('@session-stores/core'))
      const open = await openOurs(place, (options) => new MemoryStore(options))
      return { ...open, clear: () => open.store.clear() }
    },
  },
  {
    name: REFERENCE,
    kind: 'memory',
    role: 'reference',
    packages: ['@fastify/session'],
    open: async () => {
      const sessions = new Map()
      const store = new fastifySession.MemoryStore(sessions) as unknown as Store
      return { store, clear: () => sessions.clear() }
    },
  },
  {
    name: '@fastify/secure-session',
    kind: 'memory',
    role: 'reference',
    packages: ['@fastify/secure-session'],
    plugin: '@fastify/secure-session',
    open: async () => {
      throw new Error('@fastify/secure-session has no store: it keeps the session in its cookie')
    },
  },
]
