import { expectSealed } from '@session-stores/testing'
import { describe, expect, test } from 'vitest'
import { freshTable, makeStore, noPostgres, usePool, useServer } from './setup.ts'

describe.skipIf(noPostgres)('sealed sessions', () => {
  const server = useServer()
  const pool = usePool(() => server().url())

  test('no word of them is in a pg_dump, their data is JSON all the same, and whose they are is readable', async () => {
    const table = freshTable()
    await expectSealed(
      (options) => makeStore({ pool: pool(), table, ...options }),
      () => server().dump(),
    )
    const { rows } = await pool().query(
      `select user_id, jsonb_typeof(data::jsonb) as type from ${table} where data::text like '"sealed.%' order by user_id`,
    )
    expect(rows).toEqual(['user1', 'user2', 'user3', 'user4'].map((user_id) => ({ user_id, type: 'string' })))
  })
})
