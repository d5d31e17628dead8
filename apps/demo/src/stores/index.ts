// The one folder that knows which store it is: everything else sees a SessionStore.
import type { StoreOptions } from '@session-stores/core'
import type { Session } from 'fastify'
import { ConfigError } from '../config.ts'
import type { Opened, OpenedStore, Setup } from './opened.ts'

export type { BackMessage, DownMessage, OperationContext, SessionStore } from '@session-stores/core'
export type { OpenedStore } from './opened.ts'
export type { OwnServer } from './own-server.ts'

// A driver is loaded only where its store is used.
const stores: Record<string, (setup: Setup) => Promise<Opened>> = {
  memory: async (setup) => (await import('./memory.ts')).openMemory(setup),
  sqlite: async (setup) => (await import('./sqlite.ts')).openSqlite(setup),
  redis: async (setup) => (await import('./redis.ts')).openRedis(setup),
  postgres: async (setup) => (await import('./postgres.ts')).openPostgres(setup),
  memcached: async (setup) => (await import('./memcached.ts')).openMemcached(setup),
}

export const storeNames = Object.keys(stores)

export interface StoreSettings {
  /** The store's name. */
  store: string
  dataFolder: string
  /** Seals what sessions hold; undefined: it is stored as it is. */
  encryptionKeys?: string[] | undefined
}

/** @throws ConfigError when there is no such store, or no server for it */
export async function openStore(settings: StoreSettings, env: NodeJS.ProcessEnv): Promise<OpenedStore> {
  const { store, dataFolder, encryptionKeys } = settings
  const open = Object.hasOwn(stores, store) ? stores[store] : undefined
  if (!open) throw new ConfigError(`STORE must be one of ${storeNames.join(', ')}; got ${JSON.stringify(store)}`)
  // Whose a session is, so that a user's sessions can be listed and ended
  const options: StoreOptions = { userOf: (session: Session) => session.userId, encryptionKeys }
  return { ...(await open({ dataFolder, env, options })), isSealed: encryptionKeys !== undefined }
}
