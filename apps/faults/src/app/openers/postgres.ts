import { PostgresStore } from '@session-stores/postgres'
import { Pool, type PoolConfig } from 'pg'
import type { Opener } from '../opener.ts'

export const open: Opener<PoolConfig>['open'] = async (settings, options, log) => {
  const pool = new Pool({ connectionTimeoutMillis: 2000, ...settings })
  pool.on('error', log)
  const store = new PostgresStore({ pool, ...options })
  await store.migrate()
  return { store, close: () => pool.end() }
}
