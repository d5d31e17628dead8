import { setTimeout as sleep } from 'node:timers/promises'
import { PgBouncer } from '@session-stores/testing/pgbouncer'
import { PostgresServer } from '@session-stores/testing/postgres'
import type { Faults, Subject } from '../fault.ts'
import { openerOf } from '../openers.ts'

interface PgBouncerStage {
  bouncer: PgBouncer
  server: PostgresServer
}

const faults: Faults<PgBouncerStage> = {
  frozen: {
    what: 'PgBouncer is stopped (SIGSTOP) for 5 s',
    async run({ bouncer }) {
      bouncer.pause()
      await sleep(5000)
      bouncer.resume()
    },
  },
  restarted: {
    what: 'PgBouncer is ended at once and started again, three times',
    async run({ bouncer }) {
      for (let n = 0; n < 3; n += 1) {
        await bouncer.restart()
        await sleep(1000)
      }
    },
    expect: { refuses: 'perhaps' },
  },
  paused: {
    what: 'PAUSE for 4 s: it holds all statements back',
    async run({ bouncer }) {
      bouncer.holdStatements()
      await sleep(4000)
      bouncer.releaseStatements()
    },
    expect: { knownOutageWait: Number.POSITIVE_INFINITY },
  },
  'server-restarted': {
    what: 'Postgres behind it is restarted in good order',
    async run({ server }) {
      await server.restart()
    },
    // It tries again once a second here (server_login_retry), by default every 15 s
    expect: { refuses: 'perhaps', firstWithin: 3000, allWithin: 5000 },
  },
}

export const pgbouncer: Subject<PgBouncerStage, object> = {
  name: 'pgbouncer',
  skip: ['SKIP_POSTGRES', 'SKIP_PGBOUNCER'],
  about: `Postgres behind a PgBouncer in transaction mode that shares 4 connections among all. It tries a server that was gone
again every \`server_login_retry\` (1 s here, 15 s by default), and so long answers errors though the server is back.`,
  faults,
  async start() {
    const server = await PostgresServer.start()
    const bouncer = await PgBouncer.start(server, { settings: { server_login_retry: 1 } })
    return {
      ...{ server, bouncer, opener: openerOf('postgres') },
      settings: { connectionString: bouncer.url() },
      async stop() {
        await bouncer.dispose()
        await server.dispose()
      },
    }
  },
}
