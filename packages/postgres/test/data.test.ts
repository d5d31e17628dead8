import { createHash } from 'node:crypto'
import { newVersion } from '@session-stores/core'
import { until } from '@session-stores/testing'
import type pg from 'pg'
import { describe, expect, test } from 'vitest'
import { freshTable, hold, makeStore, noPostgres, testPool, usePool, useServer } from './setup.ts'

const key = createHash('sha256').update('a session').digest('base64url')
const record = { data: '{"a":1}', createdAt: 1_700_000_000_123, expiresAt: 4_000_000_000_456 }

describe.skipIf(noPostgres)('what is in the table', () => {
  const server = useServer()
  const pool = usePool(() => server().url())

  test('SQL can look into it, and it holds no session id', async () => {
    const table = freshTable()
    const store = await makeStore({ pool: pool(), table })
    const expires = new Date(Date.now() + 60_000)
    await store.set('an id', { cookie: { expires, originalMaxAge: 60_000 }, user: 'ada', cart: { apples: 3 } })
    const { rows } = await pool().query(
      `select id, data->>'user' as user, data->'cart'->>'apples' as apples, user_id,
        to_timestamp(expires_at / 1000.0) as expires_at, to_timestamp(created_at / 1000.0) as created_at,
        row_to_json(${table})::text as whole from ${table}`,
    )
    const { whole, ...row } = rows[0]
    expect(row).toEqual({
      id: createHash('sha256').update('an id').digest(),
      user: 'ada',
      apples: '3',
      user_id: null,
      expires_at: expires,
      created_at: expect.any(Date),
    })
    expect(whole).not.toContain('an id')
  })

  test.each([
    '{"nul":"\\u0000","half":"\\ud800","order":{"z":1,"a":2,"z":3},"number":1.0e400,"space" : -0}',
    '{"truncated":',
    '{"raw":"\0"}',
    '{"raw":"\ud800"}',
    '{}x',
    ' {"a":1}',
    '[1,2]',
    '"a JSON string"',
    '"',
    'null',
    '',
    'plain text, 漢 🙂 \0 \udfff \\ \' " \n',
    `sealed:${Buffer.from(Array.from({ length: 256 }, (_, n) => n)).toString('latin1')}`,
  ])('any text comes back letter by letter: %j', async (data) => {
    const { backend } = await makeStore({ pool: pool() })
    const [version, next] = [newVersion(), newVersion()]
    await backend.write(key, { ...record, data }, version)
    expect(await backend.read(key)).toEqual({ record: { ...record, data }, version })
    expect(await backend.replace(key, { ...record, data: `${data}.` }, next, version)).toBe('replaced')
    expect(await backend.read(key)).toEqual({ record: { ...record, data: `${data}.` }, version: next })
  })

  test('a session with what SQL cannot hold as text does not keep SQL from looking into the others', async () => {
    const table = freshTable()
    const store = await makeStore({ pool: pool(), table })
    const odd = ['\0', '\ud800', '\udfff', 'a \udc00\ud800 b', '\\\0', '\\\\\ud800']
    for (const text of odd) {
      await store.set(text, { user: 'odd', text })
      expect(await store.get(text)).toMatchObject({ user: 'odd', text })
    }
    const plain = ['\\u0000', '\\ud800', '🙂', '\u0001', '\\\\u0000']
    for (const text of plain) await store.set(text, { user: 'plain', text })
    const { rows } = await pool().query(
      `select data->>'text' as text from ${table} where data->>'user' = 'plain' and data::jsonb is not null`,
    )
    expect(rows.map(({ text }) => text).sort()).toEqual(plain.sort())
    // As a custom serializer may write it.
    const { backend } = await makeStore({ pool: pool(), table: freshTable() })
    for (const data of [
      '{"a":"\\uD83D\\ude42"}',
      '{"a":"\\uD800"}',
      '{"\\u0000":1}',
      '{"a":"\\ud800\\ud83d\\uDE42"}',
    ]) {
      await backend.write(key, { ...record, data }, newVersion())
      expect(await backend.read(key)).toMatchObject({ record: { data } })
    }
  })

  test('a serializer of the application can make text that is no JSON', async () => {
    const base64 = {
      stringify: (session: object) => Buffer.from(JSON.stringify(session)).toString('base64'),
      parse: (text: string) => JSON.parse(Buffer.from(text, 'base64').toString()),
    }
    const store = await makeStore({ pool: pool(), serializer: base64 })
    await store.set('id', { user: 'ada' })
    const session = await store.get('id')
    expect(session).toMatchObject({ user: 'ada' })
    await store.set('id', { ...session, n: 1 })
    expect(await store.get('id')).toMatchObject({ user: 'ada', n: 1 })
  })

  test('times are exact, wherever the connection is set to be', async () => {
    for (const setting of [
      '-c TimeZone=Asia/Kathmandu -c DateStyle=German',
      '-c TimeZone=America/St_Johns',
      '-c DateStyle=SQL,DMY',
    ]) {
      const { backend } = await makeStore({ pool: testPool(server().url(), { options: setting }) })
      for (const expiresAt of [
        0,
        1,
        1_711_846_799_999,
        Date.UTC(2106, 1, 7, 6, 28, 16),
        Date.UTC(9999, 11, 31, 23, 59, 59, 999),
        Date.UTC(10_000, 0, 1),
        8.64e15 - 1,
        8.64e15,
      ]) {
        const version = newVersion()
        await backend.write(key, { ...record, createdAt: expiresAt, expiresAt }, version)
        expect(await backend.read(key)).toEqual({ record: { ...record, createdAt: expiresAt, expiresAt }, version })
      }
    }
  })

  test("the application's own parsers and modes change nothing", async () => {
    const types = { getTypeParser: () => () => 'parsed by the application' } as unknown as pg.CustomTypesConfig
    for (const options of [
      { types },
      { binary: true },
      { options: '-c bytea_output=escape -c extra_float_digits=0' },
    ]) {
      const store = await makeStore({ pool: testPool(server().url(), options) })
      const version = newVersion()
      await store.backend.write(key, { ...record, userId: 'ada' }, version)
      expect(await store.backend.read(key)).toEqual({ record: { ...record, userId: 'ada' }, version })
      expect(await store.count()).toBe(1)
      expect(await store.backend.scan?.()).toEqual({ records: [{ key, record: { ...record, userId: 'ada' } }] })
      expect(await store.backend.replace(key, record, newVersion(), newVersion())).toBe('conflict')
      await store.clear()
      expect(await store.count()).toBe(0)
    }
  })

  test('a replay of one’s own replacement is a success, also while the first is still under way', async () => {
    const table = freshTable()
    const store = await makeStore({ pool: pool(), table })
    const other = await makeStore({ pool: pool(), table })
    const [version, next] = [newVersion(), newVersion()]
    await store.backend.write(key, record, version)
    const unlock = await hold(pool(), `select 1 from ${table} for update`)
    const both = [store, other].map(({ backend }) =>
      backend.replace(key, { ...record, data: '{"a":2}' }, next, version),
    )
    await until('both wait for the row', async () => {
      const { rows } = await pool().query(`select 1 from pg_stat_activity where wait_event_type = 'Lock'`)
      return rows.length === 2
    })
    await unlock()
    expect(await Promise.all(both)).toEqual(['replaced', 'replaced'])
    expect(await store.backend.read(key)).toEqual({ record: { ...record, data: '{"a":2}' }, version: next })
  })

  test('truncate behind a long transaction stops the requests, unless it has a lock_timeout', async () => {
    const table = freshTable()
    const store = await makeStore({ pool: pool(), table, timeout: 300 })
    await store.set('id', { user: 'ada' })
    const letGo = await hold(pool(), `select from ${table}`)
    const bounded = pool().query(`begin; set local lock_timeout = '50ms'; truncate ${table}; commit`)
    await expect(bounded).rejects.toMatchObject({ code: '55P03' })
    expect((await store.get('id'))?.user).toBe('ada')
    const unbounded = pool().query(`truncate ${table}`)
    await until('it waits', async () => {
      const { rows } = await pool().query(`select from pg_locks where not granted and relation = '${table}'::regclass`)
      return rows.length > 0
    })
    await expect(store.get('id')).rejects.toMatchObject({ statusCode: 503 })
    await letGo()
    await unbounded
    expect(await store.get('id')).toBeNull()
  })

  test('strict isolation, set for the whole database, loses nothing', async () => {
    for (const level of ['repeatable read', 'serializable']) {
      const strict = testPool(server().url(), {
        options: `-c default_transaction_isolation=${level.replace(' ', '\\ ')}`,
      })
      const table = freshTable()
      const store = await makeStore({ pool: strict, table })
      await store.set('id', {})
      await Promise.all(
        Array.from({ length: 8 }, async (_, n) => {
          // Each as a process of its own: without the queue that one store has for its own writers.
          const other = await makeStore({ pool: strict, table })
          await other.set('id', { ...(await other.get('id')), [`key${n}`]: n })
        }),
      )
      expect(Object.keys(await store.get('id'))).toEqual(
        expect.arrayContaining(Array.from({ length: 8 }, (_, n) => `key${n}`)),
      )
    }
  })
})

describe.skipIf(noPostgres)('counting', () => {
  const server = useServer()
  const pool = usePool(() => server().url())

  test('is exact, in batches of bounded size, also where many rows are level in the index or have just expired', async () => {
    const table = freshTable()
    const store = await makeStore({ pool: pool(), table })
    const now = Date.now()
    const slot = now - (now % 900_000)
    const insert = (from: number, to: number, createdAt: string, expiresAt: string) =>
      pool().query(
        `insert into ${table} select sha256(n::text::bytea), '{}', null, ${createdAt}, ${expiresAt}, 'v'
         from generate_series(${from}, ${to - 1}) n`,
      )
    await insert(0, 30_000, `${now} - n`, `${now} + 1000 * n`) // over weeks; the first is over now
    await insert(30_000, 40_000, `${now} - n`, `${now} - n`) // over, not pruned
    await insert(40_000, 75_000, `${now}`, `${slot + 9 * 900_000}`) // 35,000 of one moment
    await insert(75_000, 100_000, `${now} - n`, `${slot + 899_999}`) // in the slot that has begun
    const sizes: number[] = []
    let from: string | undefined
    do {
      const batch = await store.backend.count?.({ expiresAt: Date.now(), createdAt: -8.64e15 }, from)
      sizes.push(batch?.count ?? 0)
      from = batch?.next
    } while (from !== undefined)
    const live = 29_999 + 35_000 + 25_000
    expect(sizes.reduce((a, b) => a + b)).toBeLessThanOrEqual(live)
    expect(sizes.reduce((a, b) => a + b)).toBeGreaterThan(live - 60) // as the clock goes on
    expect(Math.max(...sizes)).toBeLessThan(5001)
    const frozen = await makeStore({ pool: pool(), table, now: () => now })
    expect(await frozen.count()).toBe(live)
  })
})

describe.skipIf(noPostgres)('errors', () => {
  const server = useServer()
  const pool = usePool(() => server().url())

  test.each([
    [
      'a constraint',
      (table: string) => `alter table ${table} add constraint no_secrets check (data->>'secret' is null)`,
      '23514',
    ],
    [
      'a trigger',
      (table: string) => `
        create function refuse() returns trigger language plpgsql as
          $$ begin raise exception 'will not have %', new.data using detail = new.data::text; end $$;
        create trigger refuse before insert on ${table} for each row execute function refuse()`,
      'P0001',
    ],
  ])('that come from %s of the application show no session data and no id', async (_, ddl, code) => {
    const table = freshTable()
    const store = await makeStore({ pool: pool(), table })
    await pool().query(ddl(table))
    const error = await store.set('the-id', { secret: 'the-secret' }).catch((error: unknown) => error)
    expect(error).toMatchObject({ code: 'SESSION_STORE_UNAVAILABLE', statusCode: 503, cause: { code } })
    expect(everything(error)).not.toMatch(/the-secret|the-id/)
    expect(everything(error)).not.toContain(createHash('sha256').update('the-id').digest('hex'))
    await store.ping()
  })
})

/** Whatever a logger might find in an error. */
function everything(error: unknown, seen = new Set<unknown>()): string {
  if (typeof error !== 'object' || error === null) return String(error)
  if (seen.has(error)) return ''
  seen.add(error)
  const names = Object.getOwnPropertyNames(error) as (keyof typeof error)[]
  return names.map((name) => `${name}: ${everything(error[name], seen)}`).join('\n')
}
