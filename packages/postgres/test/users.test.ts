import { userCases, userOptions } from '@session-stores/testing'
import { describe, test } from 'vitest'
import { freshTable, makeStore, noPostgres, testPool, useServer } from './setup.ts'

describe.skipIf(noPostgres)('the sessions of a user, behind @fastify/session', () => {
  const server = useServer()

  for (const each of userCases) {
    test(each.name, () =>
      each.run(async () => {
        const table = freshTable()
        const open = () => makeStore({ pool: testPool(server().url()), table, ...userOptions })
        return [await open(), await open()]
      }),
    )
  }
})
