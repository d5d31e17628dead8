import { until } from '@session-stores/testing'
import type pg from 'pg'
import { describe, expect, test } from 'vitest'
import { freshTable, hold, makeStore, noPgBouncer, testPool, useBouncer, usePool, useServer } from './setup.ts'

const TIMEOUT = 400
const unavailable = { code: 'SESSION_STORE_UNAVAILABLE', statusCode: 503 }

describe.skipIf(noPgBouncer)('behind PgBouncer in transaction mode', () => {
  const server = useServer()
  const bouncer = useBouncer(server, { poolSize: 2, settings: { server_login_retry: 1 } })
  const admin = usePool(() => server().url(), { max: 2, application_name: 'admin' })
  const through = (options: pg.PoolConfig = {}) => testPool(bouncer().url(), { max: 8, ...options })

  test('it is PgBouncer in between, and each transaction may meet another connection', async () => {
    const { rows } = await through().query('select pg_backend_pid() as pid')
    const clients = await admin().query('select 1 from pg_stat_activity where pid = $1', [rows[0].pid])
    expect(clients.rowCount).toBe(1)
  })

  test('64 callers on 8 clients and 2 connections: every answer is right, and no statement is prepared', async () => {
    const store = await makeStore({ pool: through() })
    await Promise.all(
      Array.from({ length: 64 }, async (_, n) => {
        const id = `id${n}`
        for (let round = 0; round < 5; round += 1) {
          await store.set(id, { ...(await store.get(id)), n, round })
          expect(await store.get(id)).toMatchObject({ n, round })
        }
        if (n % 2 === 0) await store.destroy(id)
      }),
    )
    expect(await store.count()).toBe(32)
    // On both of its connections: as long as one is in a transaction, others get the other.
    const [one, two] = [await through().connect(), await through().connect()]
    await one.query('begin')
    await two.query('begin')
    expect([...(await preparedOn(one)), ...(await preparedOn(two))]).toEqual([])
    for (const client of [one, two]) {
      await client.query('commit')
      client.release()
    }
  })

  test('straight to Postgres, statements are prepared; with preparedStatements: false they are not', async () => {
    const pools = { detected: testPool(server().url(), { max: 1 }), off: testPool(server().url(), { max: 1 }) }
    for (const [name, pool] of Object.entries(pools)) {
      const store = await makeStore({ pool, ...(name === 'off' && { preparedStatements: false }) })
      await store.set('id', {})
      await store.get('id')
      expect(await preparedOn(pool)).toHaveLength(name === 'off' ? 0 : 2)
    }
  })

  test('two stores with tables of their own share a connection', async () => {
    const pool = testPool(server().url(), { max: 1 })
    const [one, two] = [await makeStore({ pool }), await makeStore({ pool })]
    await one.set('id', { store: 1 })
    await two.set('id', { store: 2 })
    expect([await one.get('id'), await two.get('id')]).toMatchObject([{ store: 1 }, { store: 2 }])
  })

  test('preparedStatements: true is taken back when the statements are not found again', async () => {
    const store = await makeStore({ pool: through(), preparedStatements: true })
    for (let n = 0; n < 20; n += 1) {
      const ids = Array.from({ length: 8 }, (_, each) => `id${each}`)
      await Promise.all(ids.map((id) => store.set(id, { n })))
      await Promise.all(ids.map(async (id) => expect(await store.get(id)).toMatchObject({ n })))
    }
  })

  test('a locked row: 503 by the deadline, and the server waits no longer either', async () => {
    const table = freshTable()
    const pool = through()
    const store = await makeStore({ pool, table, timeout: TIMEOUT })
    await store.set('id', { a: 1 })
    const session = { ...(await store.get('id')), a: 2 }
    const unlock = await hold(admin(), `select 1 from ${table} for update`)
    await expect(store.set('id', session)).rejects.toMatchObject(unavailable)
    await until('the query was cancelled', async () => (await waiting()) === 0)
    await unlock()
    await until('the store is served again', () => store.get('id'))
    // As another request: the one whose save has just failed is given little time for a second.
    await store.set('id', { ...session })
    expect(await store.get('id')).toMatchObject({ a: 2 })
  })

  test('its connections all taken: 503 by the deadline, and it goes on when one is free', async () => {
    const pool = through()
    const store = await makeStore({ pool, timeout: TIMEOUT })
    await store.set('id', { a: 1 })
    const others = await Promise.all([1, 2].map(() => hold(testPool(bouncer().url()), 'select 1')))
    await expect(store.get('id')).rejects.toMatchObject(unavailable)
    for (const letGo of others) await letGo()
    expect(await until('the store is served again', () => store.get('id'))).toMatchObject({ a: 1 })
  })

  test('the server behind it restarts, and then is killed: every request is served again', async () => {
    const pool = through()
    const store = await makeStore({ pool, timeout: 2000 })
    await store.set('id', { a: 1 })
    for (const down of [() => server().stop(), () => server().kill()]) {
      await down()
      await expect(store.get('id')).rejects.toMatchObject(unavailable)
      await server().restart()
      expect(await until('the store is served again', () => store.get('id'))).toMatchObject({ a: 1 })
    }
  })

  async function waiting(): Promise<number> {
    const { rows } = await admin().query(
      `select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock'`,
    )
    return rows[0].n
  }
})

async function preparedOn(pool: Pick<pg.Pool, 'query'>): Promise<unknown[]> {
  return (await pool.query('select name from pg_prepared_statements')).rows
}
