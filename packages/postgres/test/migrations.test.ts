import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { migrations, PostgresStore, SessionSchemaMismatch } from '../src/index.ts'
import { freshTable, hold, makePool, noPostgres, testPool, usePool, useServer } from './setup.ts'

describe.skipIf(noPostgres)('the schema', () => {
  const server = useServer()
  const pool = usePool(() => server().url())

  function makeStore(options: Partial<ConstructorParameters<typeof PostgresStore>[0]> = {}): PostgresStore {
    const store = new PostgresStore({ pool: pool(), table: freshTable(), pruneInterval: false, ...options })
    onTestFinished(() => store.close())
    return store
  }

  test('without a table a request fails with what to run, and the next works as soon as that was run', async () => {
    const table = freshTable()
    const store = makeStore({ table })
    for (let n = 0; n < 2; n += 1) {
      const error = await store.get('id').catch((error: unknown) => error)
      expect(error).toBeInstanceOf(SessionSchemaMismatch)
      expect(error).toMatchObject({ code: 'SESSION_SCHEMA_MISMATCH', statusCode: 503 })
      expect((error as Error).message).toBe(
        `the table ${table} of the postgres session store is not there in the search_path of the connection: run store.migrate() with a role that may create it, or set migrateOnFirstUse`,
      )
    }
    await expect(store.set('id', {})).rejects.toMatchObject({ code: 'SESSION_SCHEMA_MISMATCH' })
    await makeStore({ table }).migrate()
    await store.set('id', { a: 1 })
    expect(await store.get('id')).toMatchObject({ a: 1 })
  })

  test('a table that goes while the store is in use is missed, and found again', async () => {
    const table = freshTable()
    const store = makeStore({ table })
    await store.migrate()
    await store.set('id', {})
    await pool().query(`drop table ${table}, ${table}_migrations`)
    await expect(store.get('id')).rejects.toMatchObject({ code: 'SESSION_SCHEMA_MISMATCH' })
    await store.migrate()
    expect(await store.get('id')).toBeNull()
  })

  test('a newer schema is refused, by a message that says what to update', async () => {
    const table = freshTable()
    await makeStore({ table }).migrate()
    await pool().query(`insert into ${table}_migrations (version) values (99)`)
    const store = makeStore({ table, migrateOnFirstUse: true })
    const newer = `the table public.${table} has schema version 99, and this version of @session-stores/postgres knows only 1: update the package`
    await expect(store.get('id')).rejects.toMatchObject({ code: 'SESSION_SCHEMA_MISMATCH', message: newer })
    await expect(store.migrate()).rejects.toMatchObject({ code: 'SESSION_SCHEMA_MISMATCH', message: newer })
  })

  test('ten processes that start at once make one table', async () => {
    const worker = fileURLToPath(new URL('migrate-worker.ts', import.meta.url))
    const ids = Array.from({ length: 10 }, (_, n) => `id${n}`)
    const workers = ids.map((id) => fork(worker, [server().url(), id]))
    await Promise.all(workers.map((worker) => once(worker, 'message')))
    const ends = workers.map((worker) => once(worker, 'exit'))
    for (const worker of workers) worker.send('go')
    for (const [code] of await Promise.all(ends)) expect(code).toBe(0)
    const store = makeStore({ schema: 'of many', table: 'starts' })
    for (const id of ids) expect(await store.get(id)).toMatchObject({ user: id })
    const { rows } = await pool().query('select version from "of many".starts_migrations')
    expect(rows).toEqual([{ version: 1 }])
  })

  test('a hundred that migrate at once, on ten connections, do so too', async () => {
    const table = freshTable()
    await Promise.all(Array.from({ length: 100 }, () => makeStore({ table }).migrate()))
    await makeStore({ table }).migrate()
  })

  test.each(['read committed', 'repeatable read', 'serializable'])(
    'stores that start at once make a schema and their tables, one or several, where the isolation is %s',
    async (level) => {
      const set = `-c default_transaction_isolation=${level.replace(' ', '\\ ')}`
      const strict = testPool(server().url(), { options: set })
      // Connections that are there already: only so do all of them find the schema missing before one makes it.
      await Promise.all(Array.from({ length: 10 }, () => strict.query('select pg_sleep(0.1)')))
      for (let round = 0; round < 5; round += 1) {
        for (const tables of [Array(8).fill('logins'), ['logins', 'carts', 'games', 'visits']]) {
          const schema = `${level} ${round} ${tables.length}`
          await Promise.all(tables.map((table) => makeStore({ pool: strict, schema, table }).migrate()))
          for (const table of tables) await makeStore({ pool: strict, schema, table }).set('id', {})
        }
        const table = freshTable()
        await Promise.all(Array.from({ length: 8 }, () => makeStore({ pool: strict, table }).migrate()))
      }
    },
  )

  test('a table that was dropped by itself: a message that says what else to drop', async () => {
    const table = freshTable()
    await makeStore({ table }).migrate()
    await pool().query(`drop table ${table}`)
    const store = makeStore({ table })
    await expect(store.get('id')).rejects.toMatchObject({ code: 'SESSION_SCHEMA_MISMATCH' })
    const message = `there is a table public.${table}_migrations and no table public.${table}: drop it too, and run store.migrate()`
    await expect(store.migrate()).rejects.toMatchObject({ code: 'SESSION_SCHEMA_MISMATCH', message })
    const eager = makeStore({ table, migrateOnFirstUse: true })
    await expect(eager.get('id')).rejects.toMatchObject({ code: 'SESSION_SCHEMA_MISMATCH', message })
    await pool().query(`drop table ${table}_migrations`)
    expect(await eager.get('id')).toBeNull()
    expect(await store.get('id')).toBeNull()
  })

  test('all tables emptied, as some test suites do: a message that says what to drop', async () => {
    const table = freshTable()
    await makeStore({ table }).migrate()
    await pool().query(`truncate ${table}, ${table}_migrations`)
    const message = `the table public.${table}_migrations is empty: drop it and the table public.${table}, and run store.migrate()`
    await expect(makeStore({ table }).migrate()).rejects.toMatchObject({ code: 'SESSION_SCHEMA_MISMATCH', message })
    const eager = makeStore({ table, migrateOnFirstUse: true })
    await expect(eager.get('id')).rejects.toMatchObject({ code: 'SESSION_SCHEMA_MISMATCH', message })
    await pool().query(`drop table ${table}, ${table}_migrations`)
    expect(await eager.get('id')).toBeNull()
  })

  test('migrateOnFirstUse with a role that may not: a message that says what to run', async () => {
    const table = freshTable()
    await pool().query('create role visitor login')
    const store = makeStore({
      pool: testPool(server().url('postgres', 'visitor')),
      table,
      migrateOnFirstUse: true,
    })
    for (let n = 0; n < 2; n += 1) {
      await expect(store.get('id')).rejects.toMatchObject({
        code: 'SESSION_SCHEMA_MISMATCH',
        message: `the table ${table} of the postgres session store is not there in the search_path of the connection: run store.migrate() with a role that may create it; this one may not`,
        cause: { code: '42501' },
      })
    }
    await makeStore({ table }).migrate()
    await pool().query(`grant all on ${table}, ${table}_migrations to visitor`)
    expect(await store.get('id')).toBeNull()
  })

  test('migrateOnFirstUse makes the table, for many first requests at once, and tries again after a failure', async () => {
    const table = freshTable()
    await pool().query(`create table ${table} (of_another_application text)`)
    const store = makeStore({ table, migrateOnFirstUse: true })
    await expect(store.get('id')).rejects.toMatchObject({
      code: 'SESSION_SCHEMA_MISMATCH',
      message: `there is a table ${table} that the postgres session store did not make: give the store another name in its option table`,
    })
    await pool().query(`drop table ${table}`)
    const answers = await Promise.all(Array.from({ length: 20 }, () => store.get('id')))
    expect(answers).toEqual(Array(20).fill(null))
  })

  test('a role without the right to make tables serves requests on one that is there', async () => {
    const table = freshTable()
    await makeStore({ table }).migrate()
    await pool().query(`
      create role application login;
      grant select, insert, update, delete on ${table} to application;
      grant select on ${table}_migrations to application`)
    const restricted = testPool(server().url('postgres', 'application'))
    const store = makeStore({ pool: restricted, table })
    await store.set('id', { a: 1 })
    await store.set('id', { ...(await store.get('id')), a: 2 })
    expect(await store.get('id')).toMatchObject({ a: 2 })
    expect(await store.count()).toBe(1)
    expect(await store.prune()).toBe(0)
    await store.destroy('id')
    await store.clear()
    await store.migrate()
    const error = await makeStore({ pool: restricted })
      .migrate()
      .catch((error: unknown) => error)
    expect(error).toMatchObject({
      code: '42501',
      message: expect.stringContaining('permission denied for schema public'),
    })
  })

  test('the exported statements make the same table as migrate()', async () => {
    const client = new pg.Client(server().url())
    await client.connect()
    onTestFinished(() => client.end())
    const shape = async (schema: string) => {
      const { rows } = await client.query(
        `select (select json_agg(to_jsonb(c) - 'table_schema' - 'table_catalog' order by table_name, ordinal_position) from information_schema.columns c
           where table_schema = $1) as columns,
         (select json_agg(indexdef order by indexname) from pg_indexes where schemaname = $1) as indexes,
         (select json_agg(reloptions) from pg_class where relnamespace = $1::regnamespace and relname = 'logins') as storage,
         (select json_agg(version) from ${schema}.logins_migrations) as versions`,
        [schema],
      )
      return JSON.parse(JSON.stringify(rows[0]).replaceAll(schema, 'the schema'))
    }
    await client.query('create schema by_tool')
    for (const { sql } of migrations({ schema: 'by_tool', table: 'logins' })) await client.query(sql)
    await makeStore({ schema: 'by_store', table: 'logins' }).migrate()
    expect(await shape('by_tool')).toEqual(await shape('by_store'))
    expect((await shape('by_tool')).versions).toEqual([1])
    await makeStore({ schema: 'by_tool', table: 'logins' }).set('id', {})
  })

  test('an unlogged table is one', async () => {
    const table = freshTable()
    const store = makeStore({ table, unlogged: true })
    await store.migrate()
    await store.set('id', { a: 1 })
    expect(await store.get('id')).toMatchObject({ a: 1 })
    const kind = async (name: string) =>
      (await pool().query('select relpersistence from pg_class where oid = $1::regclass', [name])).rows[0]
        .relpersistence
    expect([await kind(table), await kind(`${table}_migrations`)]).toEqual(['u', 'p'])
  })

  test('names are quoted, whatever is in them', async () => {
    for (const [schema, table] of [
      ['with space', 'sessions"; drop table x; --'],
      ["o'neill", "o'neill"],
      ['UPPER', 'select'],
      ['über.all', '漢'.repeat(17)],
    ]) {
      const store = makeStore({ schema: schema as string, table: table as string, migrateOnFirstUse: true })
      await store.set('id', { table })
      expect(await store.get('id')).toMatchObject({ table })
      expect(await store.count()).toBe(1)
      await store.clear()
      expect(await store.prune()).toBe(0)
    }
  })

  test('a table of which the search path decides the schema', async () => {
    await pool().query('create schema tenant')
    const tenant = testPool(server().url(), { options: '-c search_path=tenant,public' })
    const store = makeStore({ pool: tenant, table: 'logins' })
    await store.migrate()
    await store.set('id', {})
    expect((await pool().query('select 1 from tenant.logins')).rowCount).toBe(1)
    // A table of that name further down the path, of another application, is not in the way.
    await pool().query('create table public.carts (of_another_application text)')
    await makeStore({ pool: tenant, table: 'carts', migrateOnFirstUse: true }).set('id', {})
    expect((await pool().query('select 1 from tenant.carts')).rowCount).toBe(1)
  })

  describe('a search_path that somebody leaves on a connection', () => {
    /** A pool of one connection, with a schema of its own to be led to. */
    async function scene(table: string) {
      const elsewhere = `elsewhere_${table}`
      await pool().query(`create schema ${elsewhere}`)
      const single = testPool(server().url(), { max: 1 })
      const mislead = () => single.query(`set search_path = ${elsewhere}`)
      const tables = async () => {
        const { rows } = await pool().query(`select schemaname from pg_tables where tablename = $1`, [table])
        return rows.map(({ schemaname }) => schemaname)
      }
      return { pool: single, mislead, tables }
    }

    test.each([false, true])('leads no request astray, with migrateOnFirstUse: %s', async (migrateOnFirstUse) => {
      const table = freshTable()
      const { pool, mislead, tables } = await scene(table)
      const store = makeStore({ pool, table, migrateOnFirstUse })
      if (!migrateOnFirstUse) await store.migrate()
      await store.set('id', { user: 'ada' })
      await mislead()
      expect(await store.get('id')).toMatchObject({ user: 'ada' })
      expect(await store.count()).toBe(1)
      await store.migrate()
      await store.destroy('id')
      expect(await tables()).toEqual(['public'])
      expect(await makeStore({ table }).get('id'), 'logged out').toBeNull()
    })

    test('does not matter to a store whose schema is named', async () => {
      const table = freshTable()
      const { pool, mislead, tables } = await scene(table)
      await mislead()
      const store = makeStore({ pool, table, schema: 'public', migrateOnFirstUse: true })
      await store.set('id', {})
      expect(await tables()).toEqual(['public'])
    })

    test('is named by the message, where it hides the table from the start', async () => {
      const table = freshTable()
      const { pool, mislead } = await scene(table)
      await makeStore({ table }).migrate()
      await mislead()
      const message = expect.stringContaining('is not there in the search_path of the connection')
      await expect(makeStore({ pool, table }).get('id')).rejects.toMatchObject({
        code: 'SESSION_SCHEMA_MISMATCH',
        message,
      })
    })

    test('makes no table besides when the one in use has gone', async () => {
      const table = freshTable()
      const { pool: single, mislead, tables } = await scene(table)
      const store = makeStore({ pool: single, table, migrateOnFirstUse: true })
      await store.set('id', {})
      await pool().query(`drop table ${table}, ${table}_migrations`)
      await mislead()
      for (let n = 0; n < 2; n += 1) {
        await expect(store.get('id')).rejects.toMatchObject({
          code: 'SESSION_SCHEMA_MISMATCH',
          message: `the table public.${table} of the postgres session store is not there: run store.migrate() with a role that may create it`,
        })
      }
      expect(await tables()).toEqual([])
      await store.migrate()
      expect(await store.get('id')).toBeNull()
      expect(await tables()).toEqual(['public'])
    })
  })

  test('a migration that is cut off leaves nothing half done', async () => {
    const table = freshTable()
    const letGo = await hold(pool(), `create table ${table} (x int)`)
    const store = makeStore({ table })
    const migrating = store.migrate()
    await waitsForLock()
    await pool().query(`select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock'`)
    await expect(migrating).rejects.toBeInstanceOf(Error)
    await letGo()
    const { rows } = await pool().query('select to_regclass($1) as migrations', [`${table}_migrations`])
    expect(rows).toEqual([{ migrations: null }])
    await store.migrate()
    await store.set('id', {})
  })

  test('migrate() waits longer than a request for a server that is slow', async () => {
    const table = freshTable()
    await makeStore({ table }).migrate()
    const letGo = await hold(pool(), `lock table ${table}_migrations in access exclusive mode`)
    const begun = performance.now()
    const migrating = makeStore({ table, timeout: 50 }).migrate()
    migrating.catch(() => {}) // looked at below
    await expect.poll(() => performance.now() - begun).toBeGreaterThan(200)
    await letGo()
    await migrating
  })

  async function waitsForLock(): Promise<void> {
    await expect
      .poll(async () => (await pool().query(`select 1 from pg_stat_activity where wait_event_type = 'Lock'`)).rowCount)
      .toBe(1)
  }
})

describe('options', () => {
  const pool = makePool('postgres://127.0.0.1:1/none')
  const aPool =
    'pool must be a Pool of pg, which makes connections by itself, as in new Pool({ connectionString }); got'
  const secretUrl = 'postgres://ada:the-secret@127.0.0.1/app'

  test.each([
    ['no pool', {}, `${aPool} undefined`],
    ['an empty object', { pool: {} }, `${aPool} an object`],
    ['a connection string for a pool', { pool: secretUrl }, `${aPool} a string`],
    ['a Client', { pool: new pg.Client(secretUrl) }, `${aPool} an object`],
    ['an empty name', { pool, table: '' }, 'table must be a name of 1 to 52 bytes, without NUL; got an empty string'],
    ['NUL in a name', { pool, table: 'a\0b' }, 'table must be a name of 1 to 52 bytes, without NUL; got a string'],
    [
      'a long name',
      { pool, table: 'é'.repeat(27) },
      'table must be a name of 1 to 52 bytes, without NUL; got a string',
    ],
    ['a schema', { pool, schema: 5 }, 'schema must be a name of 1 to 63 bytes, without NUL; got 5'],
    ['unlogged', { pool, unlogged: 'yes' }, 'unlogged must be true or false; got a string'],
    ['preparedStatements', { pool, preparedStatements: 1 }, 'preparedStatements must be true or false; got 1'],
    ['migrateOnFirstUse', { pool, migrateOnFirstUse: null }, 'migrateOnFirstUse must be true or false; got null'],
    ['an option of every store', { pool, ttl: -1 }, 'ttl must be'],
    ['a typo', { pool, tabel: 'typo' }, "unknown option 'tabel': there are pool, schema, table, unlogged, "],
    ['no options', null, 'options must be an object; got null'],
    ['a connection string', secretUrl, 'options must be an object; got a string'],
  ])('%s is refused when the store is made', (_, options, message) => {
    let error: unknown
    try {
      new PostgresStore(options as never)
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(TypeError)
    expect((error as Error).message).toContain(message)
    expect(inspect(error)).not.toContain('the-secret')
  })

  test.each([
    ['conString', secretUrl, 'pool, a Pool of pg'],
    ['conObject', { connectionString: secretUrl }, 'pool, a Pool of pg'],
    ['pgPromise', {}, 'pool, a Pool of pg'],
    ['schemaName', 'app', 'schema'],
    ['tableName', 'session', 'table'],
    ['createTableIfMissing', true, 'migrateOnFirstUse'],
    ['disableTouch', true, 'touchInterval, in ms'],
    ['pruneSessionInterval', 900, 'pruneInterval, in ms'],
    ['pruneSessionRandomizedInterval', false, 'pruneInterval, which always varies'],
    ['errorLog', console.error, 'the diagnostics channels'],
  ])('an option of connect-pg-simple is told by its name here: %s', (name, value, ours) => {
    const attempt = () => new PostgresStore({ pool, [name]: value } as never)
    expect(attempt).toThrow(`unknown option '${name}': here it is ${ours}`)
  })

  test('the options stay as they were given, and nothing is connected', () => {
    const options = Object.freeze({ pool, schema: 'a', table: 'b', ttl: 5000, unlogged: true })
    new PostgresStore(options)
    expect(pool.totalCount).toBe(0)
  })

  test('an option may be undefined, as one that is read from the environment', () => {
    const options = { schema: undefined, table: undefined, unlogged: undefined }
    new PostgresStore({ pool, migrateOnFirstUse: undefined, preparedStatements: undefined, ...options })
    expect(migrations(options)).toEqual(migrations())
  })
})
