import { PostgresServer } from '@session-stores/testing/postgres'
import pg from 'pg'
import { outagesOf, type Server, tableOf } from './server.ts'

/** As installed, with `fsync`; and it counts statements. Each contestant has a database of its own. */
export async function startPostgres(): Promise<Server> {
  const server = await PostgresServer.start({
    settings: {
      fsync: 'on',
      max_wal_size: '4GB',
      shared_preload_libraries: 'pg_stat_statements',
      max_connections: 300,
    },
  })
  const query = async (database: string, sql: string) => {
    const client = new pg.Client(server.url(database))
    await client.connect()
    try {
      return (await client.query(sql)).rows
    } finally {
      await client.end()
    }
  }
  const [about] = await query('postgres', 'show server_version')
  await query('postgres', 'create extension if not exists pg_stat_statements')
  let places = 0
  return {
    version: `Postgres ${String(about.server_version).split(' ', 1)[0]}`,
    port: server.port,
    get pid() {
      return server.pid
    },
    placeFor: async () => {
      places += 1
      const database = `bench_${places}`
      await query('postgres', `create database ${database}`)
      return { port: server.port, database, file: '' }
    },
    clear: async (contestant, { database }) => {
      await query(database, `truncate ${tableOf(contestant).name}`)
    },
    dump: async (contestant, { database }) => {
      const rows = await query(database, `select t::text from ${tableOf(contestant).name} t`)
      return rows.map((row) => row.t).join('\n')
    },
    spoil: async (contestant, { database }) => {
      // The columns take JSON only: this is JSON, and no session.
      const { name, data } = tableOf(contestant)
      await query(database, `update ${name} set ${data} = '"not a session"'`)
    },
    size: async (contestant, { database }) => {
      const [row] = await query(
        database,
        `select pg_total_relation_size('${tableOf(contestant).name}')::float8 as size`,
      )
      return row.size
    },
    commands: async () => {
      const rows = await query(
        'postgres',
        `select lower(split_part(trim(query), ' ', 1)) as name, sum(calls)::int as calls
          from pg_stat_statements s join pg_database d on d.oid = s.dbid
          where datname like 'bench_%' group by 1`,
      )
      return Object.fromEntries(rows.map(({ name, calls }) => [name, calls]))
    },
    outages: outagesOf({
      pause: () => server.pause(),
      resume: () => server.resume(),
      kill: () => server.kill(),
      comeBack: () => server.restart(),
    }),
    stop: () => server.dispose(),
  }
}
