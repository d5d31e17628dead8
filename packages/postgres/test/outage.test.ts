import { execFile } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { promisify } from 'node:util'
import { Browser, buildApp, until } from '@session-stores/testing'
import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { PostgresStore } from '../src/index.ts'
import { Cable } from './cable.ts'
import { freshTable, hold, makeStore, noPostgres, testPool, usePool, useServer } from './setup.ts'

/** Well over the quarter of a second for which core waits for a server that is down, and thrice what a slow answer takes. */
const TIMEOUT = 1000
/** What a busy machine may add to it, in ms. */
const SLACK = 1000
const MAX = 4
const unavailable = { code: 'SESSION_STORE_UNAVAILABLE', statusCode: 503 }

describe.skipIf(noPostgres)('a server that fails', () => {
  const server = useServer({ settings: { superuser_reserved_connections: 3, max_connections: 60 } })
  const admin = usePool(() => server().url(), { max: 2, application_name: 'admin' })

  /** A store on a pool of its own with a session `id` in it. */
  async function scene(options: pg.PoolConfig = {}, url = server().url()) {
    const pool = testPool(url, { max: MAX, application_name: 'store', ...options })
    const table = freshTable()
    const store = await makeStore({ pool, table, timeout: TIMEOUT })
    await store.set('id', { a: 1 })
    return { pool, store, table }
  }

  /** All that a store is asked for in an outage ends with a 503, the first by its deadline and all others soon. */
  async function expectOutage(store: PostgresStore, session: object): Promise<void> {
    const begun = performance.now()
    const operations = [
      () => store.get('id'),
      () => store.set('id', session),
      () => store.set('new', {}),
      () => store.destroy('new'),
    ]
    await Promise.all(operations.map((operation) => expect(operation()).rejects.toMatchObject(unavailable)))
    expect(performance.now() - begun).toBeLessThan(TIMEOUT + SLACK)
    const later = performance.now()
    for (const operation of operations) await expect(operation()).rejects.toMatchObject(unavailable)
    expect(performance.now() - later, 'later ones do not wait for a deadline each').toBeLessThan(3 * TIMEOUT)
  }

  /** The pool is as good as new, and the server holds no connection that the pool does not know of. */
  async function expectHealthy(pool: pg.Pool): Promise<void> {
    await until('everything was given back', () => pool.totalCount === pool.idleCount && pool.waitingCount === 0)
    const clients = await Promise.all(Array.from({ length: MAX }, () => pool.connect()))
    expect(pool.totalCount).toBe(MAX)
    await Promise.all(clients.map((client) => client.query('select 1')))
    for (const client of clients) client.release()
    await until('the server has no other connections', async () => (await connections()) === MAX)
  }

  async function connections(): Promise<number> {
    const { rows } = await admin().query(
      `select count(*)::int as n from pg_stat_activity where application_name = 'store'`,
    )
    return rows[0].n
  }

  async function waiting(): Promise<number> {
    const { rows } = await admin().query(
      `select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock'`,
    )
    return rows[0].n
  }

  test('frozen: 503 by the deadline, and it goes on when the server does', async () => {
    const { pool, store } = await scene()
    const session = { ...(await store.get('id')), a: 2 }
    server().pause()
    try {
      await expectOutage(store, session)
    } finally {
      server().resume()
    }
    await onceServed(store)
    expect(await store.get('id')).toMatchObject({ a: expect.any(Number) })
    await store.set('id', { ...(await store.get('id')), a: 3 })
    expect(await store.get('id')).toMatchObject({ a: 3 })
    await expectHealthy(pool)
  })

  test('frozen, behind the plugin: a request waits for one deadline, not for two', async () => {
    const { store } = await scene()
    const app = buildApp(store)
    await app.listen({ host: '127.0.0.1', port: 0 })
    onTestFinished(() => app.close())
    const browser = new Browser(app)
    await browser.post('/login/ada')
    server().pause()
    const begun = performance.now()
    try {
      expect((await browser.request('GET', '/me')).status).toBe(503)
      expect(performance.now() - begun).toBeLessThan(TIMEOUT + SLACK)
    } finally {
      server().resume()
    }
    await until('log-in is back', async () => (await browser.request('GET', '/me')).status === 200)
    expect((await browser.get('/me')).user).toBe('ada')
  })

  test('killed and restarted: nothing that was acknowledged is lost', async () => {
    const { pool, store } = await scene()
    const saved = new Map<string, number>()
    const destroyed = new Set<string>()
    let ended = false
    const writer = async (name: string) => {
      for (let n = 0; !ended; n += 1) {
        const id = `${name}-${n}`
        try {
          await store.set(id, { n })
          saved.set(id, n)
          if (n % 3 > 0) continue
          saved.delete(id)
          await store.destroy(id)
          destroyed.add(id)
        } catch (error) {
          expect(error).toMatchObject(unavailable)
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
      }
    }
    const writers = Array.from({ length: 8 }, (_, n) => writer(`writer${n}`))
    onTestFinished(() => {
      ended = true
    })
    await until('they are at work', () => saved.size > 200)
    await server().kill()
    try {
      await expectOutage(store, {})
    } finally {
      await server().restart()
    }
    const before = saved.size
    await until('they are at work again', () => saved.size > before + 200)
    ended = true
    await Promise.all(writers)
    for (const [id, n] of saved) expect(await store.get(id), id).toMatchObject({ n })
    for (const id of destroyed) expect(await store.get(id), id).toBeNull()
    await expectHealthy(pool)
  })

  test('restarted in good order: the next request works, though the pool may hold dead connections', async () => {
    const { pool, store } = await scene()
    await Promise.all(Array.from({ length: 20 }, () => store.get('id')))
    await server().restart()
    expect(await store.get('id')).toMatchObject({ a: 1 })
    await expectHealthy(pool)
  })

  test('connections that the server ended are replaced within the request', async () => {
    const { pool, store, table } = await scene()
    const unlock = await hold(admin(), `select 1 from ${table} for update`)
    const saving = store.set('id', { a: 2 }).then(() => 'saved')
    await until('it waits', async () => (await waiting()) === 1)
    await admin().query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'store'`)
    await until('it waits again', async () => (await waiting()) === 1)
    await unlock()
    expect(await saving).toBe('saved')
    await expectHealthy(pool)
  })

  test('no connection to be had from the server: 503', async () => {
    await admin().query('create role application login; grant create on schema public to application')
    const { pool, store } = await scene({}, server().url('postgres', 'application'))
    await pool.query('select pg_terminate_backend(pg_backend_pid())').catch(() => {})
    await until('the pool is empty', async () => {
      await admin().query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'store'`)
      return pool.totalCount === 0
    })
    const others: pg.Client[] = []
    try {
      for (;;) {
        const client = new pg.Client(server().url('postgres', 'application'))
        client.on('error', () => {})
        await client.connect()
        others.push(client)
      }
    } catch (error) {
      expect(error).toMatchObject({ code: '53300' })
    }
    const begun = performance.now()
    for (const operation of [() => store.get('id'), () => store.set('id', {}), () => store.destroy('x')]) {
      await expect(operation()).rejects.toMatchObject({ ...unavailable, cause: { code: '53300' } })
    }
    expect(performance.now() - begun).toBeLessThan(TIMEOUT + SLACK)
    await Promise.all(others.map((client) => client.end()))
    expect(await onceServed(store)).toMatchObject({ a: 1 })
    await expectHealthy(pool)
  })

  test('all connections of the pool lent to others: 503 by the deadline, and none is lost when they come back', async () => {
    const { pool, store } = await scene()
    const others = await Promise.all(Array.from({ length: MAX }, () => pool.connect()))
    await expectOutage(store, { ...others })
    expect(pool.totalCount).toBe(MAX)
    for (const client of others) client.release()
    await expectHealthy(pool)
    expect(await onceServed(store)).toMatchObject({ a: 1 })
  })

  test('thousands that waited in vain for a connection do no harm when one comes at last', async () => {
    const { pool, table } = await scene({ max: 1 })
    const hasty = new PostgresStore({ pool, table, timeout: 100, pruneInterval: false })
    await until('it has found its table', () => hasty.get('id'))
    const other = await pool.connect()
    const answers = await Promise.allSettled(Array.from({ length: 5000 }, () => hasty.backend.read('key')))
    expect(answers.filter(({ status }) => status === 'fulfilled')).toEqual([])
    other.release()
    await until('everything was given back', () => pool.totalCount === pool.idleCount && pool.waitingCount === 0)
    expect(await until('it is served again', () => hasty.get('id'))).toMatchObject({ a: 1 })
    await hasty.close()
  })

  test('a locked row: 503 by the deadline, and the server waits no longer either', async () => {
    const { pool, store, table } = await scene()
    const unlock = await hold(admin(), `select 1 from ${table} for update`)
    const session = { ...(await store.get('id')), a: 2 }
    let closed = 0
    pool.on('remove', () => {
      closed += 1
    })
    for (let n = 0; n < 3; n += 1) {
      const begun = performance.now()
      await expect(store.set('id', { ...session })).rejects.toMatchObject(unavailable)
      expect(performance.now() - begun).toBeLessThan(TIMEOUT + SLACK)
      await until('the query was cancelled', async () => (await waiting()) === 0)
      await until('its connection is not used again', () => closed > n)
    }
    expect(await onceServed(store), 'others and other verbs go on').toMatchObject({ a: 1 })
    await store.set('another', {})
    await unlock()
    await store.set('id', session)
    expect(await store.get('id')).toMatchObject({ a: 2 })
    await expectHealthy(pool)
  })

  test('a locked table: the same', async () => {
    const { pool, store, table } = await scene()
    const unlock = await hold(admin(), `lock table ${table} in access exclusive mode`)
    await Promise.all(Array.from({ length: 20 }, () => expect(store.get('id')).rejects.toMatchObject(unavailable)))
    await until('nothing waits', async () => (await waiting()) === 0)
    await unlock()
    expect(await onceServed(store)).toMatchObject({ a: 1 })
    await expectHealthy(pool)
  })

  test('a hundred deadlines later the pool is as good as new', async () => {
    const { pool, store, table } = await scene()
    const hasty = new PostgresStore({ pool, table, timeout: 20, pruneInterval: false })
    for (let n = 0; n < 25; n += 1) {
      const unlock = await hold(admin(), `lock table ${table} in access exclusive mode`)
      // Pings are answered meanwhile, so that each of these waits for its own deadline.
      const answers = await Promise.allSettled(Array.from({ length: 4 }, () => hasty.backend.read('key')))
      expect(answers.map(({ status }) => status)).toEqual(Array(4).fill('rejected'))
      await unlock()
    }
    expect(await store.get('id')).toMatchObject({ a: 1 })
    await expectHealthy(pool)
    await hasty.close()
  })

  test('a read-only standby: reads are answered, writes a 503, and after its promotion all is well', async () => {
    const { store: first, table } = await scene()
    const standby = await server().standby()
    onTestFinished(() => standby.dispose())
    const pool = testPool(standby.url(), { max: MAX, application_name: 'store' })
    const store = new PostgresStore({ pool, table, timeout: TIMEOUT, pruneInterval: false })
    expect(await store.get('id')).toMatchObject({ a: 1 })
    for (const operation of [() => store.set('id', { a: 2 }), () => store.destroy('id'), () => store.prune()]) {
      await expect(operation()).rejects.toMatchObject({ ...unavailable, cause: { code: '25006' } })
    }
    const promoting = testPool(standby.url())
    await promoting.query('select pg_promote()')
    await store.set('id', { a: 2 })
    expect(await store.get('id')).toMatchObject({ a: 2 })
    expect(await first.get('id'), 'the other server is none of its business').toMatchObject({ a: 1 })
    await store.close()
  })

  test('a network that swallows everything: 503, and it goes on when the network does', async () => {
    const cable = await Cable.to(server().port)
    onTestFinished(() => cable.dispose())
    const { pool, store } = await scene({ connectionTimeoutMillis: TIMEOUT }, cable.url)
    const session = { ...(await store.get('id')), a: 2 }
    const hung = pool.totalCount
    let givenUp = 0
    pool.on('remove', () => {
      givenUp += 1
    })
    cable.cut()
    await expectOutage(store, session)
    await until('the pool gave up what hung', () => givenUp >= hung)
    await expectOutage(store, session)
    cable.mend()
    await onceServed(store)
    // As another request: the one whose save has just failed is given little time for a second.
    await store.set('id', { ...session })
    expect(await store.get('id')).toMatchObject({ a: 2 })
    await until('everything was given back', () => pool.totalCount === pool.idleCount)
  })

  test.each([1, 10, 30])('%i idle connections that have died without a word cost one deadline', async (size) => {
    const cable = await Cable.to(server().port)
    onTestFinished(() => cable.dispose())
    const { pool, store } = await scene({ max: size }, cable.url)
    await fill(pool, size)
    cable.silence()
    const begun = performance.now()
    await expect(store.get('id')).rejects.toMatchObject(unavailable)
    expect(await onceServed(store)).toMatchObject({ a: 1 })
    expect(performance.now() - begun).toBeLessThan(2 * TIMEOUT + SLACK)
    // Nor do those cost anything that were not needed so far.
    const answers = await Promise.all(Array.from({ length: 2 * size }, () => store.get('id')))
    expect(answers).toEqual(Array(2 * size).fill(expect.objectContaining({ a: 1 })))
    expect(performance.now() - begun).toBeLessThan(2 * TIMEOUT + SLACK)
  })

  test('requests on all connections of the pool when they die without a word: the next are served', async () => {
    const cable = await Cable.to(server().port)
    onTestFinished(() => cable.dispose())
    const { pool, store } = await scene({ max: 10 }, cable.url)
    await fill(pool, 10)
    cable.silence()
    const answers = await Promise.allSettled(Array.from({ length: 30 }, () => store.get('id')))
    expect(answers.map(({ status }) => status)).toEqual(Array(30).fill('rejected'))
    const begun = performance.now()
    expect(await onceServed(store)).toMatchObject({ a: 1 })
    expect(performance.now() - begun).toBeLessThan(SLACK)
  })

  test('as many connections as the pool holds answer with a reset: no request fails', async () => {
    const cable = await Cable.to(server().port)
    onTestFinished(() => cable.dispose())
    for (const atOnce of [1, 20]) {
      const { pool, store } = await scene({ max: 10 }, cable.url)
      await fill(pool, 10)
      cable.forget()
      for (let n = 0; n < 20; n += atOnce) {
        const saving = Array.from({ length: atOnce }, (_, m) => store.set(`id ${n + m}`, { n: n + m }))
        await Promise.all(saving)
      }
      for (let n = 0; n < 20; n += 1) expect(await store.get(`id ${n}`)).toMatchObject({ n })
    }
  })

  test('the server ends all connections, again and again: no request fails', async () => {
    const { pool, store } = await scene({ max: 10 })
    for (let round = 0; round < 20; round += 1) {
      await fill(pool, 10)
      await admin().query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'store'`)
      await Promise.all(Array.from({ length: 3 }, () => store.get('id')))
      await store.set('id', { ...(await store.get('id')), round })
    }
    expect(await store.get('id')).toMatchObject({ round: 19 })
  })

  test('a statement that ends its connection, whichever: 503 after the second', async () => {
    const { pool, store, table } = await scene()
    await admin().query(`
      create function fall() returns trigger language plpgsql as
        $$ begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(0.1); return new; end $$;
      create trigger fall before insert on ${table} for each row execute function fall()`)
    const patient = new PostgresStore({ pool, table, timeout: 30_000, pruneInterval: false })
    let made = 0
    pool.on('connect', () => {
      made += 1
    })
    await expect(patient.set('new', {})).rejects.toMatchObject({ ...unavailable, cause: { code: '57P01' } })
    expect(made).toBeLessThan(3)
    expect(await store.get('id')).toMatchObject({ a: 1 })
    await patient.close()
  })

  test('all rows locked: a request waits for one deadline, load and save together, and those that read go on', async () => {
    const { store, table } = await scene()
    const app = buildApp(store)
    await app.listen({ host: '127.0.0.1', port: 0 })
    onTestFinished(() => app.close())
    const browsers = Array.from({ length: 30 }, () => new Browser(app))
    await Promise.all(browsers.map((browser, n) => browser.post(`/login/user${n}`)))
    const unlock = await hold(admin(), `select 1 from ${table} for update`)
    const writing = browsers.map(async (browser) => {
      const begun = performance.now()
      const { status } = await browser.request('POST', '/set/a/1')
      return { status, took: performance.now() - begun }
    })
    let answers: Awaited<(typeof writing)[0]>[] | undefined
    void Promise.all(writing).then((each) => {
      answers = each
    })
    const statuses = new Set<number>()
    const reader = async (n: number) => {
      const browser = new Browser(app, browsers[n]?.cookie)
      while (answers === undefined) statuses.add((await browser.request('GET', '/me')).status)
    }
    await Promise.all([reader(0), reader(1)])
    expect(answers?.map(({ status }) => status)).toEqual(Array(30).fill(503))
    expect(Math.max(...(answers ?? []).map(({ took }) => took))).toBeLessThan(TIMEOUT + SLACK)
    expect([...statuses], 'of those that read').toEqual([200])
    await unlock()
    await until('writes are back', async () => (await browsers[0]?.request('POST', '/set/a/2'))?.status === 200)
  })

  test('a server that takes no writes: those that only read are served, and a write is a 503 at once', async () => {
    const { store: writable, table } = await scene()
    const pool = testPool(server().url(), { max: MAX, options: '-c default_transaction_read_only=on' })
    const options = { table, timeout: 30_000, touchInterval: 0, pruneInterval: false } as const
    const app = buildApp(new PostgresStore({ pool, ...options }))
    const writing = buildApp(writable)
    for (const each of [app, writing]) {
      await each.listen({ host: '127.0.0.1', port: 0 })
      onTestFinished(() => each.close())
    }
    const writer = new Browser(writing)
    await writer.post('/login/ada')
    const outcomes: unknown[] = []
    const listen = (message: unknown) => outcomes.push((message as { outcome: string }).outcome)
    subscribe('tracing:session-stores.set:asyncEnd', listen)
    onTestFinished(() => void unsubscribe('tracing:session-stores.set:asyncEnd', listen))
    const reader = new Browser(app, writer.cookie)
    let made = 0
    pool.on('connect', () => {
      made += 1
    })
    for (let n = 0; n < 10; n += 1) expect((await reader.get('/me')).user).toBe('ada')
    expect(outcomes).toEqual(Array(10).fill('refused'))
    expect(made, 'each refusal costs one connection, and the first one more').toBeLessThan(13)
    expect((await reader.request('POST', '/set/a/1')).status).toBe(503)
  })

  test('the event loop stands still while a connection is being made: what came meanwhile is taken in', async () => {
    const { table } = await scene()
    for (const turns of [0, 1, 2, 3]) {
      const cold = testPool(server().url(), { max: 1, connectionTimeoutMillis: TIMEOUT })
      const store = new PostgresStore({ pool: cold, table, timeout: TIMEOUT, pruneInterval: false })
      const answer = store.get('id')
      for (let n = 0; n < turns; n += 1) await new Promise((resolve) => setImmediate(resolve))
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1.25 * TIMEOUT)
      expect(await answer).toMatchObject({ a: 1 })
      await store.close()
    }
  })

  test('a slow count does not make the requests of the next outage wait longer', async () => {
    const { store, table } = await scene()
    const letGo = await hold(admin(), `lock table ${table} in access exclusive mode`)
    const counting = store.count()
    await until('it waits', async () => (await waiting()) === 1)
    const begun = performance.now()
    await until('a while', () => performance.now() - begun > TIMEOUT / 2)
    await letGo()
    expect(await counting).toBe(1)
    await server().kill()
    try {
      await expect(store.get('id')).rejects.toMatchObject(unavailable)
      const later = performance.now()
      for (let n = 0; n < 5; n += 1) await expect(store.get('id')).rejects.toMatchObject(unavailable)
      expect(performance.now() - later).toBeLessThan(TIMEOUT)
    } finally {
      await server().restart()
    }
  })

  test('a connection that the application left in a transaction is not used', async () => {
    const { pool, store, table } = await scene()
    for (const sloppy of ['begin', 'begin; select 1/0']) {
      const client = await pool.connect()
      await client.query(sloppy).catch(() => {})
      client.release()
      await store.set('id', { ...(await store.get('id')), sloppy })
      const { rows } = await admin().query(`select data->>'sloppy' as sloppy from ${table}`)
      expect(rows, 'seen from outside').toEqual([{ sloppy }])
    }
    await expectHealthy(pool)
  })

  test('statements that somebody deallocated are prepared anew, or done without', async () => {
    const { pool, store } = await scene({ max: 1 })
    await pool.query('deallocate all')
    expect(await store.get('id')).toMatchObject({ a: 1 })
    await store.set('id', { ...(await store.get('id')), a: 2 })
    expect(await store.get('id')).toMatchObject({ a: 2 })
  })

  test("a pool without an 'error' listener: a warning says what will happen", async () => {
    const program = (listener: string) => `
      import pg from 'pg'
      import { PostgresStore } from ${JSON.stringify(import.meta.resolve('../src/index.ts'))}
      const pool = new pg.Pool({ connectionString: '${server().url()}' })
      ${listener}
      const store = new PostgresStore({ pool, migrateOnFirstUse: true })
      await store.get('id')
      await store.get('id')
      await store.close()
      await pool.end()`
    const run = async (listener: string) => {
      const args = ['--input-type=module', '--eval', program(listener)]
      return (await promisify(execFile)(process.execPath, args, { cwd: import.meta.dirname })).stderr
    }
    expect((await run('')).match(/SESSION_STORE_POOL_ERROR_LISTENER/g)).toHaveLength(1)
    expect(await run("pool.on('error', () => {})")).toBe('')
  })
})

/** Makes all connections that the pool may have, and leaves them idle. */
async function fill(pool: pg.Pool, size: number): Promise<void> {
  const clients = await Promise.all(Array.from({ length: size }, () => pool.connect()))
  for (const client of clients) client.release()
}

/** Answers the session `id`. A store that has seen an outage asks the server first whether it is back. */
function onceServed(store: PostgresStore): Promise<object> {
  return until('the store is served again', () => store.get('id'))
}
