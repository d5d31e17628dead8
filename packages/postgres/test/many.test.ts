import { createHash } from 'node:crypto'
import { newVersion } from '@session-stores/core'
import { until } from '@session-stores/testing'
import { describe, expect, test } from 'vitest'
import { idOf, keyOf } from '../src/rows.ts'
import { freshTable, hold, makeStore, noPostgres, testPool, usePool, useServer } from './setup.ts'

const keys = Array.from({ length: 20 }, (_, n) => createHash('sha256').update(`session ${n}`).digest('base64url'))
const record = { data: '{"a":1}', createdAt: 1_700_000_000_123, expiresAt: 4_000_000_000_456 }

describe.skipIf(noPostgres)('many changes in one turn of the event loop', () => {
  const server = useServer()
  const pool = usePool(() => server().url())
  const admin = usePool(() => server().url())

  /** A store with all the records in it, each with its version. */
  async function openFilled() {
    const table = freshTable()
    const { backend } = await makeStore({ pool: pool(), table, timeout: 10_000 })
    const versions = keys.map(() => newVersion())
    await Promise.all(keys.map((key, n) => backend.write(key, record, versions[n] as string)))
    return { table, backend, versions }
  }

  test.each(['write', 'replace', 'touch', 'remove'] as const)(
    'a row locked by another transaction among those to %s: the others are answered at once, it when it is free',
    async (verb) => {
      const { table, backend, versions } = await openFilled()
      const change = (key: string, n: number): unknown => {
        const version = versions[n] as string
        if (verb === 'write') return backend.write(key, record, newVersion())
        if (verb === 'replace') return backend.replace(key, record, newVersion(), version)
        return verb === 'touch' ? backend.touch(key, record.expiresAt + 1, version, undefined) : backend.remove(key)
      }
      const done = { write: undefined, replace: 'replaced', touch: true, remove: true }[verb]
      const locked = idOf(keys[7] as string)
      const unlock = await hold(admin(), `select 1 from ${table} where id = '${locked}' for update`)
      const answered = new Map<number, unknown>()
      const all = Promise.all(keys.map(async (key, n) => answered.set(n, await change(key, n))))
      await until('all but the locked one are answered', () => answered.size === 19, 5000)
      expect(answered.has(7)).toBe(false)
      await unlock()
      await all
      expect([...answered.values()]).toEqual(Array(20).fill(done))
    },
  )

  test('what the server refuses fails alone', async () => {
    const { backend } = await openFilled()
    const next = keys.map(() => newVersion())
    const answers = await Promise.allSettled(
      keys.map(async (key, n) =>
        backend.write(key, { ...record, userId: n === 7 ? 'a\0b' : 'ada' }, next[n] as string),
      ),
    )
    expect(answers.flatMap(({ status }, n) => (status === 'rejected' ? [n] : []))).toEqual([7])
    const stored = await Promise.all(keys.map(async (key) => (await backend.read(key)) as { version: string }))
    expect(stored.flatMap(({ version }, n) => (version === next[n] ? [] : [n]))).toEqual([7])
  })

  test('a connection that ends with a batch under way: each caller has its own right answer', async () => {
    const { table, backend, versions } = await openFilled()
    const unlock = await hold(admin(), `lock table ${table} in exclusive mode`)
    const all = Promise.all(
      keys.map(async (key, n) => backend.replace(key, record, newVersion(), versions[n % 2 ? n : 0] as string)),
    )
    const waiting = "from pg_stat_activity where wait_event_type = 'Lock' and query like '%held%'"
    await until('the batch waits', async () => (await admin().query(`select 1 ${waiting}`)).rowCount === 1, 5000)
    await admin().query(`select pg_terminate_backend(pid) ${waiting}`)
    await unlock()
    expect(await all).toEqual(keys.map((_, n) => (n % 2 || n === 0 ? 'replaced' : 'conflict')))
  })

  test('two processes that write the same new sessions in opposite order do not wait for each other in a ring', async () => {
    const table = freshTable()
    // Nobody would end a ring there but the store, which gives up.
    const open = () =>
      makeStore({ pool: testPool(server().url(), { options: '-c deadlock_timeout=1h' }), table, timeout: 10_000 })
    const stores = [await open(), await open()] as const
    const byId = keys.map(idOf).sort()
    const unlock = await hold(
      admin(),
      `insert into ${table} (id, data, created_at, expires_at, version) values ('${byId[10]}', '{}', 0, 0, '')`,
    )
    const orders = [byId, byId.toReversed()].map((ids) => ids.map((id) => keyOf(id.slice(2))))
    const all = Promise.all(
      stores.flatMap(({ backend }, n) =>
        (orders[n] ?? []).map(async (key) => backend.write(key, record, newVersion())),
      ),
    )
    const waiting = "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
    await until('both wait', async () => (await admin().query(waiting)).rowCount === 2, 5000)
    await unlock()
    await all
  })

  test('changes of one session take effect in the order in which they were made', async () => {
    const { backend, versions } = await openFilled()
    const key = keys[0] as string
    const [second, third] = [newVersion(), newVersion()]
    const answers = await Promise.all([
      backend.replace(key, record, second, versions[0] as string),
      backend.replace(key, { ...record, data: '{"a":3}' }, third, second),
      backend.touch(key, record.expiresAt + 1, third, undefined),
    ])
    expect(answers).toEqual(['replaced', 'replaced', true])
    const stored = { ...record, data: '{"a":3}', expiresAt: record.expiresAt + 1 }
    expect(await backend.read(key)).toEqual({ record: stored, version: third })
  })
})
