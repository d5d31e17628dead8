/**
 * Do requests notice pruning? 1,000,000 sessions, 300,000 of them expired. 64 callers read and write, in
 * turns undisturbed and while two processes prune.
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
/** How long the callers are left alone, and how long they are not, in ms. */
const WINDOW = 2000

/** One of the processes that prune: batch after batch, as `prune()` does, while it is told to. */
async function prune(url: string): Promise<void> {
  const pool = new pg.Pool({ connectionString: url, max: 2 })
  pool.on('error', () => {})
  const store = new PostgresStore({ pool, pruneInterval: false })
  let going = false
  process.on('message', (message) => {
    going = message === 'go'
  })
  let total = 0
  for (let done = false; !done; ) {
    if (!going) {
      await sleep(5)
      continue
    }
    const batch = await store.backend.prune?.(Date.now())
    total += batch?.removed ?? 0
    done = batch?.done ?? true
  }
  process.send?.(total)
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
    const reports = workers.map(async (worker) => (await once(worker, 'message'))[0] as number)
    let pruned = false
    const finished = Promise.all(reports).then((each) => {
      pruned = true
      return each
    })
    const load = new Load(store)
    await load.during(() => sleep(10_000)) // warm
    // In turns, since whatever else the machine does then disturbs both alike.
    const [idle, busy] = [new Times(), new Times()]
    let seconds = 0
    while (!pruned) {
      idle.add(await load.during(() => sleep(WINDOW)))
      for (const worker of workers) worker.send('go')
      const begun = performance.now()
      busy.add(await load.during(() => Promise.race([sleep(WINDOW), finished])))
      seconds += (performance.now() - begun) / 1000
      for (const worker of workers) if (worker.connected) worker.send('wait')
      await sleep(300)
    }
    console.log('deleted by each process', await finished, `in ${seconds.toFixed(1)} s`)
    console.log('| | reads/s | p50 | p99 | max | writes/s | write p99 |')
    for (const [name, { reads, writes, seconds }] of Object.entries({ undisturbed: idle, pruning: busy })) {
      console.log(
        `| ${name} | ${Math.round(reads.length / seconds)} | ${at(reads, 0.5)} | ${at(reads, 0.99)} | ${at(reads, 1)} | ${Math.round(writes.length / seconds)} | ${at(writes, 0.99)} |`,
      )
    }
    console.log(
      'read p99 while pruning ÷ undisturbed',
      (percentile(busy.reads, 0.99) / percentile(idle.reads, 0.99)).toFixed(2),
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
       now() - interval '4 days' - random() * interval '10 days',
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

  async during(work: () => Promise<unknown>): Promise<Times> {
    const times = new Times()
    const { reads, writes } = times
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
    times.seconds = (performance.now() - begun) / 1000
    return times
  }
}

class Times {
  readonly reads: number[] = []
  readonly writes: number[] = []
  seconds = 0

  add({ reads, writes, seconds }: Times): void {
    for (const time of reads) this.reads.push(time)
    for (const time of writes) this.writes.push(time)
    this.seconds += seconds
  }
}

function percentile(times: number[], share: number): number {
  const sorted = times.sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

function at(times: number[], share: number): string {
  return `${percentile(times, share).toFixed(1)} ms`
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

if (process.env.PRUNE_URL) await prune(process.env.PRUNE_URL)
else await main()
