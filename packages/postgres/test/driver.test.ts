import { newVersion } from '@session-stores/core'
import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { PostgresStore } from '../src/index.ts'
import { freshTable, makeStore, noPostgres, testPool, useServer } from './setup.ts'

describe.skipIf(noPostgres)('what the store asks of pg', () => {
  const server = useServer()

  /** A pool that notes down what is sent. `Client` is an option of pg-pool for classes of one's own. */
  function recordingPool(more: object = {}) {
    const sent: pg.QueryConfig[] = []
    class Recording extends pg.Client {
      constructor(config?: pg.ClientConfig) {
        super(config)
        Object.assign(this, more)
      }
      // biome-ignore lint/suspicious/noExplicitAny: one function for all overloads
      override query(...args: any[]): any {
        sent.push(args[0])
        return super.query(...(args as Parameters<pg.Client['query']>))
      }
    }
    return { sent, pool: testPool(server().url(), { Client: Recording, max: 2 }) }
  }

  test('every value is text or null, which all builds of the driver send alike', async () => {
    const { pool, sent } = recordingPool()
    const store = await makeStore({ pool })
    await store.set('id', { a: 1 })
    await store.set('id', { ...(await store.get('id')), a: 2 })
    expect(await store.backend.touch('an unknown key', 8.64e15, newVersion())).toBe(false)
    expect(await store.count()).toBe(1)
    for await (const { session } of store.scan()) expect(session).toMatchObject({ a: 2 })
    await store.prune()
    await store.ping()
    await store.destroy('id')
    await store.clear()
    const statements = new Set(sent.map(({ text }) => text.trim().split(/\s/)[0]))
    expect(statements).toEqual(new Set(['select', 'begin', 'create', 'commit', 'insert', 'update', 'with', 'delete']))
    const values = sent.flatMap(({ values = [] }) => values as unknown[])
    expect(values.filter((value) => typeof value !== 'string' && value !== null)).toEqual([])
  })

  // pg-native must be compiled, with the headers of libpq. This stands in for it: an ordinary client that has what tells
  // those apart, the property `native`.
  test('clients of pg-native are refused, before anything is sent, by an error that says what to use', async () => {
    const { pool, sent } = recordingPool({ native: {} })
    const store = new PostgresStore({ pool, table: freshTable(), migrateOnFirstUse: true, pruneInterval: false })
    onTestFinished(() => store.close())
    for (const use of [
      () => store.migrate(),
      () => store.get('id'),
      () => store.set('id', {}),
      () => store.destroy('id'),
      () => store.count(),
      () => store.ping(),
    ]) {
      await expect(use()).rejects.toMatchObject({
        code: 'SESSION_DRIVER_UNSUPPORTED',
        message: expect.stringMatching(/pg-native.*new Pool\(\) of pg.*NODE_PG_FORCE_NATIVE/),
      })
    }
    expect(sent).toEqual([])
    expect([pool.totalCount, pool.idleCount]).toEqual([1, 1])
  })
})

describe.skipIf(noPostgres)('where the server logs its statements', () => {
  const talkative = useServer({ settings: { log_min_duration_statement: 0 } })
  const discreet = useServer({ settings: { log_min_duration_statement: 0, log_parameter_max_length: 0 } })

  test('log_parameter_max_length = 0 keeps sessions out of the log, as the README says', async () => {
    for (const [server, shows] of [
      [talkative(), true],
      [discreet(), false],
    ] as const) {
      const store = await makeStore({ pool: testPool(server.url()) })
      await store.set('id', { a: 'the-secret' })
      await expect.poll(() => server.output).toContain('on conflict (id) do update')
      await expect.poll(() => server.output.includes('the-secret')).toBe(shows)
    }
  })
})
