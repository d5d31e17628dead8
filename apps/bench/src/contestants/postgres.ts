import { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'
import pg from 'pg'
import { type Contestant, firstAnswer, type Place, type Store } from './contestant.ts'
import { openOurs, packageOf } from './ours.ts'
import { lifetimeOf } from './session.ts'

const require = createRequire(import.meta.url)

export const postgres: Contestant[] = [
  {
    name: 'PostgresStore',
    kind: 'postgres',
    role: 'ours',
    driver: 'pg alone',
    packages: ['@session-stores/postgres', 'pg'],
    table: { name: 'sessions', data: 'data' },
    open: async (place) => {
      const { PostgresStore } = await packageOf('postgres', place, () => import('@session-stores/postgres'))
      const pool = poolOf(place)
      const open = await openOurs(place, (options) => new PostgresStore({ pool, ...options }))
      await open.store.migrate()
      return open
    },
  },
  {
    name: 'connect-pg-simple',
    kind: 'postgres',
    role: 'peer',
    driver: 'pg alone',
    packages: ['connect-pg-simple', 'pg'],
    table: { name: 'session', data: 'sess' },
    open: async (place) => {
      const pool = poolOf(place)
      const PgStore = require('connect-pg-simple')({ Store: EventEmitter })
      const store = new PgStore({
        pool,
        createTableIfMissing: true,
        pruneSessionInterval: place.movableClock ? false : 900,
      })
      await firstAnswer(store)
      return { store }
    },
  },
  {
    name: 'pg alone',
    kind: 'postgres',
    role: 'driver',
    packages: ['pg'],
    table: { name: 'plain_sessions', data: 'data' },
    open: async (place) => {
      const pool = poolOf(place)
      await pool.query(
        'create table if not exists plain_sessions (id text primary key, data json not null, expires_at timestamptz not null)',
      )
      return { store: onPlainTable(pool) }
    },
  },
]

/** With named statements, which the server prepares once a connection. */
function onPlainTable(pool: pg.Pool): Store {
  return {
    get: (id, callback) =>
      pool.query(
        { name: 'get', text: 'select data from plain_sessions where id = $1 and expires_at > now()', values: [id] },
        (error, result) => callback(error, result?.rows[0]?.data),
      ),
    set: (id, session, callback) =>
      pool.query(
        {
          name: 'set',
          text: `insert into plain_sessions values ($1, $2, $3)
            on conflict (id) do update set data = excluded.data, expires_at = excluded.expires_at`,
          values: [id, JSON.stringify(session), new Date(Date.now() + lifetimeOf(session))],
        },
        (error) => callback(error),
      ),
    destroy: (id, callback) =>
      pool.query({ name: 'destroy', text: 'delete from plain_sessions where id = $1', values: [id] }, (error) =>
        callback(error),
      ),
  }
}

function poolOf({ port, database }: Place): pg.Pool {
  const pool = new pg.Pool({ host: '127.0.0.1', port, database, user: 'postgres' })
  pool.on('error', () => {}) // reported by the call that failed; without a listener the process ends
  return pool
}
