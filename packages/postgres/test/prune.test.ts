import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { newVersion } from '@session-stores/core'
import { until } from '@session-stores/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { PostgresStore } from '../src/index.ts'
import { freshTable, hold, makeStore, noPostgres, usePool, useServer } from './setup.ts'

describe.skipIf(noPostgres)('pruning', () => {
  const server = useServer()
  const pool = usePool(() => server().url(), { max: 8 })

  /** A table of which the first `expired` rows of `all` have expired. */
  async function scene(all: number, expired: number): Promise<{ store: PostgresStore; table: string }> {
    const table = freshTable()
    const store = await makeStore({ pool: pool(), table })
    await pool().query(
      `insert into ${table} select sha256(('session-' || n)::bytea), '{}', null, $3 - random() * 3600000,
         $3 + case when n <= $2 then - random() * 86400000 else 60000 + random() * 3600000 end, 'v' || n
       from generate_series(1, $1) n order by random()`,
      [all, expired, Date.now()],
    )
    return { store, table }
  }

  async function left(table: string): Promise<{ expired: number; live: number }> {
    const { rows } = await pool().query(
      `select count(*) filter (where expires_at <= $1)::int as expired,
         count(*) filter (where expires_at > $1)::int as live from ${table}`,
      [Date.now()],
    )
    return rows[0]
  }

  test('two processes share the work, while requests go on, and say how much they did', async () => {
    const { store, table } = await scene(30_000, 20_000)
    const workers = [1, 2].map(() =>
      fork(fileURLToPath(new URL('prune-worker.ts', import.meta.url)), [server().url(), table]),
    )
    await Promise.all(workers.map((worker) => once(worker, 'message')))
    let ended = false
    const caller = async (from: number) => {
      for (let n = from; !ended; n = n < 29_990 ? n + 8 : from) {
        const session = await store.get(`session-${n}`)
        expect(session).not.toBeNull()
        await store.set(`session-${n}`, { ...session, seen: (session.seen ?? 0) + 1 })
      }
    }
    const callers = Array.from({ length: 8 }, (_, n) => caller(20_001 + n))
    const reports = await Promise.all(
      workers.map(async (worker) => {
        worker.send('go')
        const [{ returned, published }] = await once(worker, 'message')
        expect(published).toBe(returned)
        return returned as number
      }),
    )
    ended = true
    await Promise.all(callers)
    expect(reports.reduce((a, b) => a + b)).toBe(20_000)
    expect(Math.min(...reports), 'both did their part').toBeGreaterThan(1000)
    expect(await left(table)).toEqual({ expired: 0, live: 10_000 })
    const { rows } = await pool().query(
      'select deadlocks::int from pg_stat_database where datname = current_database()',
    )
    expect(rows).toEqual([{ deadlocks: 0 }])
  })

  test('it finds what has expired among much that has not, in one slot of the index', async () => {
    const table = freshTable()
    const store = await makeStore({ pool: pool(), table })
    const slot = Date.UTC(2040, 0, 1)
    await pool().query(
      `insert into ${table} select sha256(n::text::bytea), '{}', null, $1::bigint - random() * 86400000,
         $1::bigint + n, 'v' || n from generate_series(0, 9999) n order by random()`,
      [slot],
    )
    const removed: (number | undefined)[] = []
    let from: string | undefined
    do {
      const batch = await store.backend.prune?.({ expiresAt: slot + 3999, createdAt: -8.64e15 }, from)
      removed.push(batch?.removed)
      from = batch?.next
    } while (from !== undefined)
    expect(removed).toEqual([...Array(8).fill(500), 0])
    const { rows } = await pool().query(`select min(expires_at) as first, count(*)::int as live from ${table}`)
    expect(rows).toEqual([{ first: `${slot + 4000}`, live: 6000 }])
  })

  test('it does not wait for rows that others hold, and takes them the next time', async () => {
    const { store, table } = await scene(3000, 3000)
    const letGo = await hold(pool(), `select 1 from ${table} order by expires_at limit 700 for update`)
    expect(await store.prune()).toBe(2300)
    await letGo()
    expect(await store.prune()).toBe(700)
    expect(await left(table)).toEqual({ expired: 0, live: 0 })
  })

  test('it begins with what has expired last, and so ends with the dead rows that a long transaction keeps', async () => {
    const table = freshTable()
    const store = await makeStore({ pool: pool(), table })
    const now = Date.now()
    await pool().query(
      `insert into ${table} select sha256(n::text::bytea), '{}', null, 0, $1 - n * 3600000::bigint, 'v' || n
       from generate_series(3, 1002) n order by random()`,
      [now],
    )
    const batch = await store.backend.prune?.({ expiresAt: now, createdAt: -8.64e15 })
    expect(batch).toMatchObject({ removed: 500 })
    const { rows } = await pool().query(`select max(expires_at) as last, count(*)::int as left from ${table}`)
    expect(rows).toEqual([{ last: `${now - 503 * 3_600_000}`, left: 500 }])
  })

  test('rows of one moment, more than a batch of them, all go in one run', async () => {
    const table = freshTable()
    const store = await makeStore({ pool: pool(), table })
    // As another tool inserts them: with the server's clock, which has microseconds.
    await pool().query(
      `insert into ${table} (id, data, created_at, expires_at, version)
       select sha256(n::text::bytea), '{}', extract(epoch from now()) * 1000, extract(epoch from now()) * 1000 - 1, 'v' || n
       from generate_series(1, 1700) n`,
    )
    expect(await store.prune()).toBe(1700)
    expect(await left(table)).toEqual({ expired: 0, live: 0 })
  })

  test.each([
    ['an hour ahead', 1],
    ['two hours ahead', 2],
    ['an hour behind', -1],
  ])("a process whose clock is %s deletes nobody's session", async (_, hours) => {
    const [minute, hour] = [60_000, 3_600_000]
    const table = freshTable()
    const store = await makeStore({ pool: pool(), table })
    const expiries = [-90 * minute, -10 * minute, 10 * minute, 90 * minute]
    await Promise.all(
      expiries.map((ms) =>
        store.backend.write(storageKey(ms), { data: '{}', createdAt: 0, expiresAt: Date.now() + ms }, newVersion()),
      ),
    )
    const wrong = await makeStore({ pool: pool(), table, now: () => Date.now() + hours * hour })
    await wrong.prune()
    const there = await Promise.all(
      expiries.map(async (ms) => (await store.backend.read(storageKey(ms))) !== undefined),
    )
    // What is over by both clocks goes: an hour behind, the server's word alone is not enough.
    expect(there).toEqual([false, hours < 0, true, true])
    await store.prune()
    expect(await left(table), 'one that is right').toEqual({ expired: 0, live: 2 })
  })

  test('it spares what is prolonged at that very moment', async () => {
    const { store, table } = await scene(8000, 8000)
    let last = 8000
    let prolonged = 0
    let ended = false
    const prolong = async () => {
      while (last > 0 && !ended) {
        const { rowCount } = await pool().query(
          `update ${table} set expires_at = $2 where id = sha256(('session-' || $1::int)::bytea)`,
          [last--, Date.now() + 3_600_000],
        )
        prolonged += rowCount ?? 0
      }
    }
    const prolonging = Array.from({ length: 4 }, prolong)
    await until('they are at work', () => prolonged > 100)
    const pruned = await store.prune()
    ended = true
    await Promise.all(prolonging)
    expect(pruned).toBeGreaterThan(1000)
    expect(await left(table)).toEqual({ expired: 0, live: prolonged })
    expect(pruned + prolonged).toBe(8000)
  })

  test('it takes no lock for the time of the connection, and leaves no transaction open', async () => {
    const { store } = await scene(2000, 2000)
    expect(await store.prune()).toBe(2000)
    const { rows } = await pool().query(
      `select 1 from pg_locks where locktype = 'advisory' union all select 1 from pg_stat_activity where state like 'idle in%'`,
    )
    expect(rows).toEqual([])
  })

  test('the timer does it', async () => {
    const { table } = await scene(1500, 1000)
    const store = await makeStore({ pool: pool(), table, pruneInterval: 10 })
    expect(await store.get('nobody')).toBeNull()
    await until('all are gone', async () => (await left(table)).expired === 0)
    expect((await left(table)).live).toBe(500)
  })

  test('a batch that fails is reported, and the next run does the rest', async () => {
    const { store, table } = await scene(3000, 3000)
    const messages: { outcome: string; removed?: number }[] = []
    const listen = (message: unknown) => messages.push(message as { outcome: string })
    subscribe('tracing:session-stores.prune:asyncEnd', listen)
    onTestFinished(() => void unsubscribe('tracing:session-stores.prune:asyncEnd', listen))
    await pool().query(`
      create function stop_at_1000() returns trigger language plpgsql as
        $$ begin if (select count(*) from ${table}) < 2000 then raise exception 'stop'; end if; return old; end $$;
      create trigger stop after delete on ${table} for each statement execute function stop_at_1000()`)
    await expect(store.prune()).rejects.toMatchObject({ code: 'SESSION_STORE_UNAVAILABLE' })
    expect(messages).toMatchObject([{ outcome: 'error' }])
    const { expired } = await left(table)
    expect(expired).toBeLessThan(3000)
    await pool().query(`drop trigger stop on ${table}`)
    expect(await store.prune()).toBe(expired)
    expect(messages[1]).toMatchObject({ outcome: 'done', removed: expired })
  })
})

function storageKey(n: number): string {
  return createHash('sha256').update(`${n}`).digest('base64url')
}
