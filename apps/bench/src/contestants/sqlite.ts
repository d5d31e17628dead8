import { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'
import { basename, dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import Database from 'better-sqlite3'
import { connectSqlite3, whyNotConnectSqlite3 } from './connect-sqlite3.ts'
import { type Contestant, firstAnswer, type Place, type Store } from './contestant.ts'
import { openOurs, packageOf } from './ours.ts'
import { lifetimeOf } from './session.ts'

const require = createRequire(import.meta.url)

export const sqlite: Contestant[] = [
  {
    name: 'SqliteStore',
    kind: 'sqlite',
    role: 'ours',
    driver: 'better-sqlite3 alone',
    packages: ['@session-stores/sqlite', 'better-sqlite3'],
    table: { name: 'sessions', data: 'data' },
    open: async (place) => {
      const { SqliteStore } = await packageOf('sqlite', place, () => import('@session-stores/sqlite'))
      return openOurs(place, (options) => new SqliteStore({ path: place.file, ...options }))
    },
  },
  {
    name: 'better-sqlite3-session-store',
    kind: 'sqlite',
    role: 'peer',
    driver: 'better-sqlite3 alone',
    packages: ['better-sqlite3-session-store', 'better-sqlite3'],
    table: { name: 'sessions', data: 'sess' },
    open: async (place) => {
      const client = databaseOf(place)
      const SqliteStore = require('better-sqlite3-session-store')({ Store: EventEmitter })
      return { store: new SqliteStore({ client }) }
    },
  },
  {
    name: 'connect-sqlite3',
    kind: 'sqlite',
    role: 'peer',
    driver: 'better-sqlite3 alone',
    packages: ['connect-sqlite3', 'sqlite3'],
    table: { name: 'sessions', data: 'sess' },
    unavailable: whyNotConnectSqlite3,
    open: async ({ file }) => {
      const SqliteStore = connectSqlite3({ Store: EventEmitter })
      const store = new SqliteStore({ dir: dirname(file), db: basename(file), concurrentDb: true })
      await firstAnswer(store)
      return { store }
    },
  },
  {
    name: 'better-sqlite3 alone',
    kind: 'sqlite',
    role: 'driver',
    packages: ['better-sqlite3'],
    table: { name: 'plain_sessions', data: 'data' },
    open: async (place) => {
      const client = databaseOf(place)
      return { store: onPlainTable(client) }
    },
  },
  {
    name: 'node:sqlite alone',
    kind: 'sqlite',
    role: 'driver',
    packages: [],
    table: { name: 'plain_sessions', data: 'data' },
    open: async ({ file }) => {
      const client = new DatabaseSync(file)
      client.exec('pragma journal_mode = wal; pragma synchronous = normal')
      return { store: onPlainTable(client) }
    },
  },
]

/** With statements that are prepared once. */
function onPlainTable(client: Database.Database | DatabaseSync): Store {
  client.exec(
    'create table if not exists plain_sessions (id text primary key, data text not null, expires_at integer not null)',
  )
  const [get, set, destroy] = [
    client.prepare('select data from plain_sessions where id = ? and expires_at > ?'),
    client.prepare('insert or replace into plain_sessions values (?, ?, ?)'),
    client.prepare('delete from plain_sessions where id = ?'),
  ]
  return {
    get: (id, callback) =>
      answer(callback, () => {
        const row = get.get(id, Date.now()) as { data: string } | undefined
        return row ? JSON.parse(row.data) : null
      }),
    set: (id, session, callback) =>
      answer(callback, () => {
        set.run(id, JSON.stringify(session), Date.now() + lifetimeOf(session))
      }),
    destroy: (id, callback) =>
      answer(callback, () => {
        destroy.run(id)
      }),
  }
}

function answer<T>(callback: (error: unknown, value?: T) => void, work: () => T): void {
  let value: T
  try {
    value = work()
  } catch (error) {
    callback(error)
    return
  }
  callback(null, value)
}

/** With the settings that SQLite's manual names for a server. */
function databaseOf({ file }: Place): Database.Database {
  const database = new Database(file)
  database.pragma('journal_mode = wal')
  database.pragma('synchronous = normal')
  return database
}
