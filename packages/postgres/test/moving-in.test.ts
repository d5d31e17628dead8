import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { expressStore } from '@session-stores/core/express'
import { type Move, movingInCases, type OldStore } from '@session-stores/testing/moving-in-cases'
import type { Pool } from 'pg'
import { describe, test } from 'vitest'
import { PostgresStore } from '../src/index.ts'
import { noPostgres, usePool, useServer } from './setup.ts'

const require = createRequire(import.meta.url)
/** Made from whatever class its plugin wants stores to extend. */
const oldClass = require('connect-pg-simple') as (
  plugin: object,
) => new (options: {
  pool: Pool
  pruneSessionInterval: false
}) => OldStore
const oldTable = readFileSync(require.resolve('connect-pg-simple/table.sql'), 'utf8')

describe.skipIf(noPostgres)('from connect-pg-simple', () => {
  const server = useServer()
  const pool = usePool(() => server().url())

  test.each(movingInCases(expressStore))('$name', ({ run }) => run(makeMove))

  /** In the same database, with each table as it is called by default. */
  async function makeMove(): Promise<Move> {
    await pool().query(`drop table if exists session, sessions, sessions_migrations; ${oldTable}`)
    await new PostgresStore({ pool: pool() }).migrate()
    return {
      openOld: (plugin) => new (oldClass(plugin))({ pool: pool(), pruneSessionInterval: false }),
      openNew: (options) => new PostgresStore({ pool: pool(), ...options }),
      countOld: async () => Number((await pool().query('select count(*) from session')).rows[0].count),
    }
  }
})
