import { until } from '@session-stores/testing'
import { PgBouncer, type PgBouncerOptions } from '@session-stores/testing/pgbouncer'
import { type PostgresOptions, PostgresServer, packagedPostgres } from '@session-stores/testing/postgres'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, onTestFinished } from 'vitest'
import { PostgresStore, type PostgresStoreOptions } from '../src/index.ts'

// For describe.skipIf, so that what is left out shows in the report.
export const noPostgres = process.env.SKIP_POSTGRES === '1'
export const noPgBouncer = noPostgres || process.env.SKIP_PGBOUNCER === '1'
/** npm has the newest Postgres for the usual machines only. */
export const noNewestPostgres = noPostgres || packagedPostgres() === undefined

/** One server for the tests of a `describe`. */
export function useServer(options: PostgresOptions = {}): () => PostgresServer {
  let server: PostgresServer | undefined
  beforeAll(async () => {
    server = await PostgresServer.start(options)
  })
  afterAll(() => server?.dispose())
  return () => {
    if (!server) throw new Error('called outside a test')
    return server
  }
}

/** A PgBouncer in front of it. */
export function useBouncer(server: () => PostgresServer, options: PgBouncerOptions = {}): () => PgBouncer {
  let bouncer: PgBouncer | undefined
  beforeAll(async () => {
    bouncer = await PgBouncer.start(server(), options)
  })
  afterAll(() => bouncer?.dispose())
  return () => {
    if (!bouncer) throw new Error('called outside a test')
    return bouncer
  }
}

/** One pool for the tests of a `describe`. */
export function usePool(url: () => string, options: pg.PoolConfig = {}): () => pg.Pool {
  let pool: pg.Pool | undefined
  beforeAll(() => {
    pool = makePool(url(), options)
  })
  // Every test gives back what it borrowed.
  afterEach(() => expectAllBack(pool))
  afterAll(() => pool?.end())
  return () => {
    if (!pool) throw new Error('called outside a test')
    return pool
  }
}

/** As an application makes one. */
export function makePool(url: string, options: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, ...options })
  pool.on('error', () => {})
  return pool
}

/** A pool for one test, which ends with it, after everything was given back. */
export function testPool(url: string, options: pg.PoolConfig = {}): pg.Pool {
  const pool = makePool(url, options)
  onTestFinished(async () => {
    await expectAllBack(pool)
    await pool.end()
  })
  return pool
}

/** Soon: a connection whose query was given up is closed a moment after. */
async function expectAllBack(pool: pg.Pool | undefined): Promise<void> {
  await until('everything was given back', () => pool?.totalCount === pool?.idleCount && !pool?.waitingCount, 5000)
}

let tables = 0

/** A name that no table has had. */
export function freshTable(): string {
  tables += 1
  return `sessions_${tables}`
}

/** A store on a table of its own, which is there. Closed when the test ends. */
export async function makeStore(options: PostgresStoreOptions): Promise<PostgresStore> {
  const store = new PostgresStore({ table: freshTable(), pruneInterval: false, ...options })
  await store.migrate()
  onTestFinished(() => store.close())
  return store
}

/** Runs a statement in a transaction that stays open until the answer is called, or the test ends. */
export async function hold(pool: pg.Pool, sql: string): Promise<() => Promise<void>> {
  const client = await pool.connect()
  let held = true
  const letGo = async () => {
    if (!held) return
    held = false
    await client.query('rollback')
    client.release()
  }
  onTestFinished(letGo)
  await client.query(`begin; ${sql}`)
  return letGo
}
