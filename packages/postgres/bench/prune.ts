/**
 * Do requests notice pruning? 1,000,000 sessions, 300,000 of them expired. 64 callers read and write, first undisturbed
 * and then while two processes prune at once.
 *
 *     node packages/postgres/bench/prune.ts [machine|npm] [wide|narrow]
 *
 * wide: expiries spread over weeks; narrow: all within half an hour, so that few index slots hold everything.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { PostgresServer } from '@session-stores/testing/postgres'
import pg from 'pg'
import { PostgresStore } from '../src/index.ts'

const SESSIONS = Number(process.env.SESSIONS ?? 1_000_000)
const EXPIRED = 0.3
const CALLERS = 64

if (process.env.PRUNE_URL) await prune(process.env.PRUNE_URL)
else await main()

/** One of the processes that prune. */
async function prune(url: string): Promise<void> {
  const pool = new pg.Pool({ connectionString: url, max: 2 })
  pool.on('error', () => {})
  const store = new PostgresStore({ pool, pruneInterval: false })
  await once(process, 'message')
  const begun = performance.now()
  const removed = await store.prune()
  process.send?.({ removed, seconds: (performance.now() - begun) / 1000 })
  await store.close()
  await pool.end()
  process.disconnect()
}

async function main(): Promise<void> {
  const [from, spread] = [process.argv[2] === 'npm' ? 'npm' : 'machine', process.argv[3] ?? 'wide'] as const
  // As installed: with fsync, and the default cache. The pages of a new cluster are flushed before the measurement.
  const server = await PostgresServer.start({ from, settings: { fsync: 'on', max_wal_size: '4GB' } })
  try {
    const pool = new pg.Pool({ connectionString: server.url(), max: 10 })
    pool.on('error', () => {})
    const store = new PostgresStore({ pool, pruneInterval: false })
    await store.migrate()
    await fill(pool, spread)
    const { rows } = await pool.query(
      `select version(), pg_size_pretty(pg_table_size('sessions')) as heap, pg_size_pretty(pg_indexes_size('sessions')) as indexes`,
    )
    console.log(rows[0])
    const workers = [1, 2].map(() => fork(import.meta.filename, { env: { ...process.env, PRUNE_URL: server.url() } }))
    const load = new Load(store)
    await load.during(() => sleep(5000)) // warm
    const before = await load.during(() => sleep(20_000))
    const during = await load.during(async () => {
      const reports = workers.map(async (worker) => {
        worker.send('go')
        const [report] = await once(worker, 'message')
        return report
      })
      console.log(await Promise.all(reports))
    })
    const after = await load.during(() => sleep(10_000))
    console.log('| | reads/s | p50 | p99 | max | writes/s | write p99 |')
    for (const [name, { reads, writes, seconds }] of Object.entries({ before, during, after })) {
      console.log(
        `| ${name} | ${Math.round(reads.length / seconds)} | ${at(reads, 0.5)} | ${at(reads, 0.99)} | ${at(reads, 1)} | ${Math.round(writes.length / seconds)} | ${at(writes, 0.99)} |`,
      )
    }
    console.log(
      'read p99 during ÷ before',
      (percentile(during.reads, 0.99) / percentile(before.reads, 0.99)).toFixed(2),
    )
    const left = await pool.query(
      `select count(*) filter (where expires_at <= now() - interval '1 minute')::int as expired,
        count(*)::int as all, (select deadlocks::int from pg_stat_database where datname = current_database()) from sessions`,
    )
    console.log(left.rows[0])
    await store.close()
    await pool.end()
  } finally {
    await server.dispose()
  }
}

/** Sessions as the store keeps them, in random order of expiry. */
async function fill(pool: pg.Pool, spread: string): Promise<void> {
  const [past, future] = spread === 'narrow' ? ['10 min', '25 min'] : ['3 days', '14 days']
  await pool.query(
    `insert into sessions (id, data, created_at, expires_at, version)
     select sha256(('session-' || n)::bytea),
       json_build_object('cookie', json_build_object('originalMaxAge', null, 'path', '/'), 'user', n, 'text', repeat('x', 230)),
       now() - interval '4 days',
       case when n < $1 then now() - random() * interval '${past}' else now() + interval '5 min' + random() * interval '${future}' end,
       'v' || n
     from generate_series(0, $2 - 1) n order by random()`,
    [SESSIONS * EXPIRED, SESSIONS],
  )
  await pool.query('vacuum analyze sessions')
  await pool.query('checkpoint')
}

/** Callers that do one thing after the other: read a live session, and change every fifth. */
class Load {
  readonly #store: PostgresStore

  constructor(store: PostgresStore) {
    this.#store = store
  }

  async during(work: () => Promise<unknown>) {
    const reads: number[] = []
    const writes: number[] = []
    let ended = false
    const caller = async () => {
      for (let n = 0; !ended; n += 1) {
        const id = `session-${Math.floor(SESSIONS * (EXPIRED + Math.random() * (1 - EXPIRED)))}`
        const begun = performance.now()
        const session = await this.#store.get(id)
        reads.push(performance.now() - begun)
        if (session === null) throw new Error('a live session is gone')
        if (n % 5 !== 0) continue
        session.seen = n
        const writing = performance.now()
        await this.#store.set(id, session)
        writes.push(performance.now() - writing)
      }
    }
    const begun = performance.now()
    const callers = Array.from({ length: CALLERS }, caller)
    await work()
    ended = true
    await Promise.all(callers)
    return {
      reads: reads.sort((a, b) => a - b),
      writes: writes.sort((a, b) => a - b),
      seconds: (performance.now() - begun) / 1000,
    }
  }
}

function percentile(sorted: number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

function at(sorted: number[], share: number): string {
  return `${percentile(sorted, share).toFixed(1)} ms`
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
