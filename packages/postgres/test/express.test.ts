import { expressStore } from '@session-stores/core/express'
import { expressCases, expressListCases } from '@session-stores/testing/express-cases'
import { describe, test } from 'vitest'
import { makeStore, noPostgres, usePool, useServer } from './setup.ts'

describe.skipIf(noPostgres)('PostgresStore behind express-session', () => {
  const server = useServer()
  const pool = usePool(() => server().url())

  for (const { name, run } of [...expressCases, ...expressListCases]) {
    test(name, async () => {
      const store = await makeStore({ pool: pool() })
      await run((StoreClass) => Object.assign(expressStore(StoreClass, store), { close: () => store.close() }))
    })
  }
})
