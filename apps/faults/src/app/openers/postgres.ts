import { PostgresStore } from '@session-stores/postgres'
import { Pool, type PoolConfig } from 'pg'
import type { Opener } from '../opener.ts'

export const open: Opener<PoolConfig>['open'] = async (settings, options, log) => {
  const pool = new Pool({ connectionTimeoutMillis: 2000, ...settings })
  pool.on('error', log)
  const store = new PostgresStore({ pool, ...options })
  await store.migrate()
  // All connections are there from the start: by what is there later beyond them, the matrix sees leaks.
  await Promise.all(Array.from({ length: pool.options.max }, () => pool.query('select pg_sleep(0.2)')))
  return { store, close: () => pool.end() }
}
