// Compiled by the type check, never run.
import fastifySession, { type SessionStore as PluginStore } from '@fastify/session'
import Database from 'better-sqlite3'
import Fastify, { type Session } from 'fastify'
import { SqliteStore, type SqliteStoreOptions } from '../src/index.ts'

declare module 'fastify' {
  interface Session {
    sqliteTypeTestUser: { id: number }
  }
}

const untyped: PluginStore = new SqliteStore({ path: ':memory:' })
const typed: PluginStore = new SqliteStore<Session>({ database: new Database(':memory:'), ttl: 1000 })
for (const store of [untyped, typed]) Fastify().register(fastifySession, { secret: 'x'.repeat(32), store })

const session: Session | null = await new SqliteStore<Session>({ path: ':memory:', synchronous: 'FULL' }).get('id')
const id: number | undefined = session?.sqliteTypeTestUser.id

const either: SqliteStoreOptions[] = [{ path: 'x' }, { database: new Database() }]
const fromEnvironment: SqliteStoreOptions[] = [
  { path: 'x', synchronous: undefined, database: undefined, ttl: undefined, timeout: undefined },
  { database: new Database(), path: undefined, synchronous: undefined },
]
// @ts-expect-error one of them is needed
const neither: SqliteStoreOptions = { ttl: 1000 }
// @ts-expect-error not both
const both: SqliteStoreOptions = { path: 'x', database: new Database() }
// @ts-expect-error the connection's settings are the application's
const foreign: SqliteStoreOptions = { database: new Database(), synchronous: 'FULL' }
// @ts-expect-error no such mode
const off: SqliteStoreOptions = { path: 'x', synchronous: 'OFF' }

export { both, either, foreign, fromEnvironment, id, neither, off }
