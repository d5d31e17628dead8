import { readFileSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { logOutElsewhere, userCases, userOf, userOptions } from '@session-stores/testing'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { SqliteStore } from '../src/index.ts'
import { SQL } from '../src/statements.ts'
import { newFiles } from './folder.ts'
import { Worker } from './worker.ts'

const newFile = newFiles('sqlite-users')

describe('behind @fastify/session', () => {
  for (const each of userCases) {
    test(each.name, () =>
      each.run(() => {
        const path = newFile()
        return [new SqliteStore({ path, ...userOptions }), new SqliteStore({ path, ...userOptions })]
      }),
    )
  }

  test('“log out everywhere else” holds in two processes', async () => {
    const path = newFile()
    const workers = [new Worker('user-app-worker.ts', path), new Worker('user-app-worker.ts', path)]
    for (const worker of workers) onTestFinished(() => worker.kill())
    const addresses = (await Promise.all(workers.map((worker) => worker.next()))) as [string, string]
    for (let round = 0; round < 3; round += 1) await logOutElsewhere(addresses, round)
  })
})

describe('with very many sessions', () => {
  test('1,000 of one user end at once, and nobody else’s', async () => {
    const store = open({ timeout: 2000 })
    const logIn = (count: number, user: string) =>
      Promise.all(Array.from({ length: count }, (_, n) => store.set(`${user}${n}`, { user })))
    await logIn(1000, 'ada')
    await logIn(10, 'bob')
    expect(await store.destroyByUser('ada', { except: 'ada7' })).toBe(999)
    expect(await store.count()).toBe(11)
    expect(await store.get('ada7')).toMatchObject({ user: 'ada' })
  })

  test('a list of 10,000 comes in batches, while requests go on', async () => {
    const store = open()
    const database = new Database(store.path)
    database.exec(`
      INSERT INTO sessions (id, version, user_id, created_at, expires_at, check_at, data)
      SELECT hex(randomblob(21)), 'v', 'ada', 0, 4e12, 4e12, '{"user":"ada"}'
      FROM (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) SELECT i FROM n)`)
    database.close()
    let isListed = false
    const list = store.listByUser('ada').finally(() => {
      isListed = true
    })
    let turns = 0
    for (; !isListed; turns += 1) {
      await store.get('another')
      await nextTurn()
    }
    expect(await list).toHaveLength(10_000)
    expect(turns).toBeGreaterThan(150)
  })

  test.each(['findByUser', 'removeOfUser'] as const)('%s looks at nobody else’s', (name) => {
    const database = new Database(open().path, { readonly: true })
    const values = name === 'findByUser' ? ['ada', '', 50] : ['ada', '["a key"]']
    const [first] = database.prepare(`EXPLAIN QUERY PLAN ${SQL[name]}`).all(...values)
    database.close()
    expect(first).toMatchObject({ detail: expect.stringMatching(/^SEARCH sessions USING .*INDEX .*id=\?/) })
  })
})

test('a change that leaves the user as he is costs not a page more than without users', async () => {
  const pages = async (store: OpenStore, user?: string) => {
    const ids = Array.from({ length: 50 }, (_, n) => `id${n}`)
    await Promise.all(ids.map((id) => store.set(id, { user })))
    const loaded = await Promise.all(ids.map((id) => store.get(id)))
    const database = new Database(store.path)
    database.pragma('wal_checkpoint(TRUNCATE)')
    database.close()
    for (const [n, id] of ids.entries()) {
      await store.set(id, { ...loaded[n], n })
      await nextTurn()
    }
    return readFileSync(`${store.path}-wal`).length
  }
  expect(await pages(open(), 'ada')).toBe(await pages(open({ userOf: undefined })))
})

interface OpenStore extends SqliteStore {
  path: string
}

function open(options: Partial<ConstructorParameters<typeof SqliteStore>[0]> = {}): OpenStore {
  const path = newFile()
  const store = new SqliteStore({ path, userOf, pruneInterval: false, ...options } as { path: string })
  onTestFinished(() => store.close())
  return Object.assign(store, { path })
}
