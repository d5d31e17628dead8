import { setTimeout as sleep } from 'node:timers/promises'
import { PostgresServer } from '@session-stores/testing/postgres'
import { unprivileged } from '@session-stores/testing/unprivileged'
import { Client, type PoolConfig } from 'pg'
import { HOST } from '../app/config.ts'
import type { Faults, Network, Subject } from '../fault.ts'
import { openerOf } from '../openers.ts'
import { TcpProxy } from '../proxy.ts'
import { SmallDisk } from '../small-disk.ts'
import { networkFaults } from './network.ts'
import { processFaults } from './process.ts'

interface PostgresStage extends Network {
  server: PostgresServer
  disk: SmallDisk | undefined
}

interface PostgresSetup {
  /** For postgresql.conf. */
  settings?: Record<string, string | number>
  /** Of the applications. */
  pool?: PoolConfig
  /** Keeps the table on a disk of so many MiB. */
  disk?: number
}

const DURATION = 5000

const faults: Faults<PostgresStage, PostgresSetup> = {
  ...networkFaults,
  ...processFaults,
  'half-open-30': {
    what: 'as half-open, with a pool of 30 idle connections',
    setup: { pool: { max: 30, idleTimeoutMillis: 0 } },
    async run({ proxy, load }) {
      await load.pause()
      await load.burst(300)
      proxy.makeAll('silent')
      load.start()
    },
    expect: { firstWithin: 4000, allWithin: 4000 },
  },
  frozen: {
    what: 'stopped (SIGSTOP) for 5 s, with all its processes',
    async run({ server }) {
      server.pause()
      await sleep(DURATION)
      server.resume()
    },
  },
  killed: {
    what: 'killed (SIGKILL), and back after 3 s',
    async run({ server }) {
      await server.kill()
      await sleep(3000)
      await server.restart()
    },
  },
  restarted: {
    what: 'restarted in good order, three times',
    async run({ server }) {
      for (let n = 0; n < 3; n += 1) {
        await server.restart()
        await sleep(1000)
      }
    },
    expect: { refuses: 'perhaps' },
  },
  terminated: {
    what: 'pg_terminate_backend of all, every 0.4 s',
    run: ({ server }) =>
      asAdmin(server, async (run) => {
        for (let n = 0; n < 10; n += 1) {
          await run('select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()')
          await sleep(400)
        }
      }),
    expect: { refuses: 'nothing' },
  },
  'table-locked': {
    what: 'the table is locked (ACCESS EXCLUSIVE) for 5 s',
    run: ({ server }) => inTransaction(server, 'lock table sessions in access exclusive mode'),
    expect: { knownOutageWait: Number.POSITIVE_INFINITY },
  },
  'rows-locked': {
    what: 'all rows are locked by another transaction for 5 s, under 60 users who change',
    load: { users: 60, changes: 0.9 },
    run: ({ server }) => inTransaction(server, 'select from sessions for update'),
    // No outage either: reads are answered, and the saves of one request wait for their rows one after the other.
    expect: { knownOutageWait: Number.POSITIVE_INFINITY, longestWait: 4600 },
  },
  vacuumed: {
    what: 'VACUUM FULL, fifteen times',
    run: ({ server }) => repeat(server, 'vacuum full sessions'),
    expect: { refuses: 'nothing' },
  },
  'columns-changed': {
    what: 'a column is added and dropped, fifteen times',
    run: ({ server }) =>
      repeat(server, 'alter table sessions add column more integer', 'alter table sessions drop column more'),
    expect: { refuses: 'nothing' },
  },
  'connections-taken': {
    what: 'others have taken all connections (max_connections) for 4 s, and all of ours are reset',
    setup: { settings: { max_connections: 40 } },
    async run({ server, proxy }) {
      proxy.refuse()
      const others: Client[] = []
      for (let refused = false; !refused; ) {
        const client = new Client(server.url())
        client.on('error', () => {})
        await client.connect().then(
          () => others.push(client),
          () => {
            refused = true
          },
        )
      }
      await proxy.accept()
      await sleep(4000)
      await Promise.all(others.map((client) => client.end()))
    },
  },
  'disk-full': {
    what: 'the table’s disk is full for 5 s',
    needs: 'root',
    setup: { disk: 8 },
    options: { touchInterval: 0 },
    bytes: 4000,
    async run({ disk, load }) {
      disk?.fill()
      await load.newcomers(300) // what is there has some room in the file, which others left behind
      await sleep(DURATION)
      disk?.empty()
    },
    expect: { refuses: 'changes' },
  },
  'read-only': {
    what: 'it takes no writes (default_transaction_read_only) for 5 s',
    options: { touchInterval: 0 },
    run: ({ server }) => withSetting(server, 'default_transaction_read_only', 'on'),
    expect: { refuses: 'changes' },
  },
  'idle-timeout': {
    what: 'it ends what was idle for 0.2 s (idle_session_timeout)',
    run: ({ server }) => withSetting(server, 'idle_session_timeout', '200ms'),
    expect: { refuses: 'nothing' },
  },
  'statement-timeout': {
    what: 'it ends statements after 50 ms (statement_timeout)',
    run: ({ server }) => withSetting(server, 'statement_timeout', '50ms'),
    expect: { refuses: 'perhaps' },
  },
  serializable: {
    what: 'all transactions are serializable',
    run: ({ server }) => withSetting(server, 'default_transaction_isolation', 'serializable'),
    expect: { refuses: 'nothing' },
  },
  'table-gone': {
    what: 'the table is not there for 3 s',
    async run({ server }) {
      await asAdmin(server, async (run) => {
        await run('alter table sessions rename to gone')
        await sleep(3000)
        await run('alter table gone rename to sessions')
      })
    },
  },
  'four-times-the-load': {
    what: '80 users for 4 s',
    load: { users: 80 },
    run: () => sleep(4000),
    expect: { refuses: 'nothing' },
  },
  'pool-of-two': {
    what: 'a pool of 2 connections for 60 users',
    setup: { pool: { max: 2 } },
    load: { users: 60 },
    run: () => sleep(4000),
    expect: { refuses: 'nothing' },
  },
  'pool-of-two-far-away': {
    what: 'the same, 40 ms away each way: more than the pool can serve',
    setup: { pool: { max: 2 } },
    load: { users: 60 },
    async run({ proxy }) {
      proxy.delay = 40
      await sleep(DURATION)
      proxy.delay = 0
    },
    // No outage: a server that answers gets its usual time for each step of a request, and that is the queue here.
    expect: { knownOutageWait: Number.POSITIVE_INFINITY, longestWait: 4600 },
  },
}

export const postgres: Subject<PostgresStage, PostgresSetup> = {
  name: 'postgres',
  skip: ['SKIP_POSTGRES'],
  about: `One Postgres server, and in each application a pool of 10. It keeps what it acknowledged, as long as
\`synchronous_commit\` is on and the disk does what it says. Replication is asynchronous by default: a replica that is
promoted may lack the last changes and log-outs.`,
  faults,
  async start({ settings = {}, pool = {}, disk: size }) {
    const disk = size === undefined ? undefined : new SmallDisk(size, unprivileged())
    const server = await PostgresServer.start({ settings })
    if (disk !== undefined) {
      await asAdmin(server, async (run) => {
        await run(`create tablespace small location '${disk.folder}'`)
        await run('alter role postgres set default_tablespace = small')
      })
    }
    const proxy = await TcpProxy.to(server.port)
    return {
      ...{ server, proxy, disk, opener: openerOf('postgres') },
      settings: { host: HOST, port: proxy.port, user: 'postgres', database: 'postgres', ...pool },
      async stop() {
        await proxy.close()
        await server.dispose()
        disk?.remove()
      },
    }
  },
}

/** Runs statements on a connection straight to the server. */
async function asAdmin(server: PostgresServer, act: (run: (sql: string) => Promise<unknown>) => Promise<void>) {
  const client = new Client(server.url())
  await client.connect()
  try {
    await act((sql) => client.query(sql))
  } finally {
    await client.end()
  }
}

async function inTransaction(server: PostgresServer, sql: string): Promise<void> {
  await asAdmin(server, async (run) => {
    await run('begin')
    await run(sql)
    await sleep(DURATION)
    await run('rollback')
  })
}

async function withSetting(server: PostgresServer, name: string, value: string): Promise<void> {
  await asAdmin(server, async (run) => {
    await run(`alter system set ${name} = '${value}'`)
    await run('select pg_reload_conf()')
  })
  await sleep(DURATION)
  await asAdmin(server, async (run) => {
    await run(`alter system reset ${name}`)
    await run('select pg_reload_conf()')
  })
}

async function repeat(server: PostgresServer, ...statements: string[]): Promise<void> {
  await asAdmin(server, async (run) => {
    for (let n = 0; n < 15; n += 1) {
      for (const sql of statements) await run(sql)
      await sleep(200)
    }
  })
}
