import type { Finding } from '@session-stores/core'
import { until } from '@session-stores/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { PostgresStore, type PostgresStoreOptions } from '../src/index.ts'
import { freshTable, makeStore, noPgBouncer, noPostgres, testPool, useBouncer, usePool, useServer } from './setup.ts'

const HOUR = 60 * 60_000

/** In short. */
async function findingsOf(store: PostgresStore): Promise<string[]> {
  return (await store.check()).map(({ severity, what }: Finding) => `${severity}: ${what}`)
}

describe.skipIf(noPostgres)('check finds', () => {
  const server = useServer()
  const pool = usePool(() => server().url())
  const start = async (options: Partial<PostgresStoreOptions> = {}) => {
    const table = freshTable()
    return { table, store: await makeStore({ pool: pool(), table, ...options }) }
  }
  /** Rows with so many sessions that ended then. */
  const fill = (table: string, count: number, expiresAt: number) =>
    pool().query(
      `insert into ${table} (id, data, created_at, expires_at, version)
        select sha256(n::text::bytea), '{}', 0, $2, 'v' from generate_series(1, $1::int) n`,
      [count, expiresAt],
    )

  test('nothing on a table that the store made', async () => {
    const { store } = await start()
    await store.set('id', { a: 1 })
    expect(await findingsOf(store)).toEqual([])
  })

  test('that there is no table, and makes none', async () => {
    const table = freshTable()
    for (const migrateOnFirstUse of [false, true]) {
      const store = new PostgresStore({ pool: pool(), table, migrateOnFirstUse })
      onTestFinished(() => store.close())
      expect(await findingsOf(store)).toEqual(migrateOnFirstUse ? [] : [`error: there is no table ${table}`])
    }
    expect((await pool().query('select to_regclass($1) as found', [table])).rows).toEqual([{ found: null }])
  })

  test('a table of a newer version', async () => {
    const { table, store } = await start()
    await pool().query(`insert into ${table}_migrations (version) values (7)`)
    expect(await findingsOf(store)).toEqual([
      `error: the table public.${table} has schema version 7, and this version of the package knows only 1`,
    ])
  })

  test('an index that is missing', async () => {
    const { table, store } = await start()
    await pool().query(`drop index ${table}_slot_idx`)
    await pool().query(`update pg_index set indisvalid = false where indexrelid = '${table}_user_idx'::regclass`)
    const findings = await store.check()
    expect(await findingsOf(store)).toEqual([
      `warning: the table public.${table} has no valid index on expires_slot, created_at`,
      `warning: the table public.${table} has no valid index on user_id`,
    ])
    for (const { how } of findings) for (const statement of how.split('; ')) await pool().query(statement)
    expect(await findingsOf(store), 'after what it said').toEqual([])
  })

  test('dead rows that vacuum leaves, while a transaction is open', async () => {
    const { table, store } = await start()
    const reader = await pool().connect()
    await reader.query('begin isolation level repeatable read; select 1')
    await fill(table, 12_000, Date.now() + HOUR)
    await pool().query(`delete from ${table}`)
    await pool().query(`vacuum ${table}`)
    const found = await until('the server has counted them', async () => (await findingsOf(store))[0])
    expect(found).toBe(`warning: the table public.${table} has 12000 dead rows beside 0 live ones`)
    await reader.query('rollback')
    reader.release()
    await pool().query(`vacuum ${table}`)
    await until('they are gone', async () => (await findingsOf(store)).length === 0)
  })

  test('expired rows that pile up', async () => {
    const { table, store } = await start()
    await fill(table, 1200, Date.now() - 20 * HOUR)
    expect(await findingsOf(store), 'pruning may be late').toEqual([])
    await pool().query(`update ${table} set expires_at = expires_at - ${5 * HOUR}`)
    expect(await findingsOf(store)).toEqual([
      `warning: more than 1000 sessions in public.${table} have been over for a day and are still there`,
    ])
    await store.prune()
    expect(await findingsOf(store)).toEqual([])
  })

  test('an unlogged table', async () => {
    const { table, store } = await start({ unlogged: true })
    expect(await findingsOf(store)).toEqual([`advice: the table public.${table} is unlogged`])
    const other = await makeStore({ pool: pool(), table })
    expect(await findingsOf(other)).toEqual([`warning: the table public.${table} is unlogged`])
    await pool().query(`alter table ${table} set logged`)
    expect(await findingsOf(other)).toEqual([])
  })

  test('with a role that may only do what requests need', async () => {
    const { table } = await start()
    await pool().query(`create role application login; grant select, insert, update, delete on ${table} to application;
      grant select on ${table}_migrations to application`)
    const store = new PostgresStore({ pool: testPool(server().url('postgres', 'application')), table })
    onTestFinished(() => store.close())
    expect(await findingsOf(store)).toEqual([])
  })

  describe.skipIf(noPgBouncer)('behind PgBouncer', () => {
    const bouncer = useBouncer(server)

    test('that no statement is prepared', async () => {
      const store = await makeStore({ pool: testPool(bouncer().url()) })
      expect(await findingsOf(store)).toEqual([
        'advice: there is a pooler in between, such as PgBouncer, so no statement is prepared',
      ])
    })
  })
})
