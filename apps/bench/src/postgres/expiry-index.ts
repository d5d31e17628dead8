/**
 * Which index on the expiry keeps touches cheap? 100,000 live sessions, 1,000,000 touches, autovacuum on; then a prune.
 *
 *     node apps/bench/src/postgres/expiry-index.ts [machine|npm] [part of a variant's name]
 *
 * Each touch moves an expiry by one to two minutes, as those of busy sessions with the default `touchInterval` do. A busy
 * site spreads so many touches over ten minutes and more; here they come in one, so autovacuum looks more often too.
 */
import { createHash } from 'node:crypto'
import { PostgresServer } from '@session-stores/testing/postgres'
import pg from 'pg'

const SESSIONS = 100_000
const TOUCHES = Number(process.env.TOUCHES ?? 1_000_000)
const from = process.argv[2] === 'npm' ? 'npm' : 'machine'

const bucket = (size: string) =>
  `expires_slot timestamptz generated always as (date_bin('${size}', expires_at, 'epoch')) stored`
const variants: { name: string; column?: string; index?: string; fillfactor: number }[] = [
  { name: 'plain b-tree, fillfactor 100', index: 'btree (expires_at)', fillfactor: 100 },
  { name: 'plain b-tree, fillfactor 80', index: 'btree (expires_at)', fillfactor: 80 },
  { name: '15 min slot, fillfactor 100', column: bucket('15 min'), index: 'btree (expires_slot)', fillfactor: 100 },
  { name: '15 min slot, fillfactor 90', column: bucket('15 min'), index: 'btree (expires_slot)', fillfactor: 90 },
  { name: '15 min slot, fillfactor 80', column: bucket('15 min'), index: 'btree (expires_slot)', fillfactor: 80 },
  {
    name: '15 min slot and created_at, fillfactor 80',
    column: bucket('15 min'),
    index: 'btree (expires_slot, created_at)',
    fillfactor: 80,
  },
  {
    name: '15 min slot and created_at, fillfactor 90',
    column: bucket('15 min'),
    index: 'btree (expires_slot, created_at)',
    fillfactor: 90,
  },
  { name: '1 h slot, fillfactor 80', column: bucket('1 hour'), index: 'btree (expires_slot)', fillfactor: 80 },
  { name: 'BRIN, fillfactor 80', index: 'brin (expires_at) with (pages_per_range = 16)', fillfactor: 80 },
  { name: 'none, fillfactor 80', fillfactor: 80 },
]

const server = await PostgresServer.start({
  from,
  settings: { autovacuum_naptime: 5, shared_buffers: '512MB', max_wal_size: '4GB', jit: 'off' },
})
const ids = Array.from({ length: SESSIONS }, (_, n) => createHash('sha256').update(`${n}`).digest())
try {
  console.log((await one('postgres', 'select version()')).version)
  console.log(
    '| index | touches/s | HOT | WAL per touch | table before → after | indexes before → after | prune 1000 |',
  )
  for (const [n, variant] of variants.entries()) {
    if (variant.name.includes(process.argv[3] ?? '')) await measure(`v${n}`, variant)
  }
} finally {
  await server.dispose()
}

async function measure(database: string, { name, column, index, fillfactor }: (typeof variants)[number]) {
  await one('postgres', `create database ${database}`)
  const pool = new pg.Pool({ connectionString: server.url(database), max: 16 })
  await pool.query(`create table sessions (
    id bytea primary key, data json not null, user_id text, created_at timestamptz not null,
    expires_at timestamptz not null, version text not null ${column ? `, ${column}` : ''}
  ) with (fillfactor = ${fillfactor}, autovacuum_vacuum_scale_factor = 0.05)`)
  if (index) await pool.query(`create index on sessions using ${index}`)
  await pool.query('create index on sessions (user_id) where user_id is not null')
  await pool.query(
    `insert into sessions select sha256(n::text::bytea), json_build_object('user', n, 'text', repeat('x', 250)),
     'user' || n, now() - random() * interval '30 min', now() + interval '30 min' + random() * interval '1 min', 'version'
     from generate_series(0, ${SESSIONS - 1}) n order by random()`,
  )
  await pool.query('vacuum analyze sessions')
  const size = `select pg_relation_size('sessions') as heap, pg_indexes_size('sessions') as indexes,
    pg_current_wal_insert_lsn() - '0/0' as wal`
  const before = (await pool.query(size)).rows[0]
  const begun = performance.now()
  let left = TOUCHES
  const worker = async () => {
    const client = await pool.connect()
    while (left-- > 0) {
      const id = ids[Math.floor(Math.random() * SESSIONS)]
      await client.query({
        name: 'touch',
        text: `update sessions set expires_at = expires_at + $2 * interval '1 ms' where id = $1 and version = 'version'`,
        values: [id, Math.floor(60_000 + Math.random() * 60_000)],
      })
    }
    client.release()
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  const seconds = (performance.now() - begun) / 1000
  const after = (await pool.query(size)).rows[0]
  await pool.query('select pg_sleep(1)') // statistics arrive late
  const stats = (
    await pool.query(
      `select n_tup_upd as all, n_tup_hot_upd as hot from pg_stat_user_tables where relname = 'sessions'`,
    )
  ).rows[0]
  await pool.query(`update sessions set expires_at = now() - interval '1 hour' where id in
    (select id from sessions order by id limit 3000)`)
  await pool.query('vacuum analyze sessions')
  const where = column
    ? `expires_slot <= date_bin('${name.startsWith('1 h') ? '1 hour' : '15 min'}', now(), 'epoch') and expires_at <= now()`
    : 'expires_at <= now()'
  const plan = (
    await pool.query(`explain (analyze, format json) delete from sessions where id in
      (select id from sessions where ${where} limit 1000 for update skip locked)`)
  ).rows[0]['QUERY PLAN'][0]
  const mib = (bytes: string) => `${(Number(bytes) / 2 ** 20).toFixed(1)}`
  console.log(
    `| ${name} | ${Math.round(TOUCHES / seconds)} | ${((100 * stats.hot) / stats.all).toFixed(1)} % | ${Math.round(
      (after.wal - before.wal) / TOUCHES,
    )} B | ${mib(before.heap)} → ${mib(after.heap)} MiB | ${mib(before.indexes)} → ${mib(after.indexes)} MiB | ${plan['Execution Time'].toFixed(1)} ms |`,
  )
  await pool.end()
  await one('postgres', `drop database ${database}`)
}

async function one(database: string, sql: string) {
  const client = new pg.Client(server.url(database))
  await client.connect()
  const { rows } = await client.query(sql)
  await client.end()
  return rows[0]
}
