import { performance } from 'node:perf_hooks'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { SqliteStore } from '../src/index.ts'
import { newFiles } from './folder.ts'

const newFile = newFiles('sqlite-prune')

test('100,000 expired sessions are pruned in small batches, and requests go on meanwhile', async () => {
  const path = newFile()
  const store = new SqliteStore({ path, pruneInterval: false })
  insert(path, 100_000, Date.now() - 1)
  insert(path, 1000, Date.now() + 60_000)

  let done = false
  const pruned = store.prune().finally(() => {
    done = true
  })
  const turns: number[] = []
  for (let last = performance.now(); !done; ) {
    await store.set('id', { turns: turns.length })
    await new Promise((resolve) => setImmediate(resolve))
    turns.push(performance.now() - last)
    last = performance.now()
  }
  expect(await pruned).toBe(100_000)
  turns.sort((a, b) => a - b)
  const [p50, p99, max] = [0.5, 0.99, 1].map((part) => turns[Math.ceil(turns.length * part) - 1]?.toFixed(1))
  console.log(`pruned 100,000 over ${turns.length} turns of the event loop: p50 ${p50}, p99 ${p99}, max ${max} ms`)
  expect(turns.length).toBeGreaterThan(1000)
  expect(await store.count()).toBe(1001)
  await store.close()
})

test('a session that was prolonged since it was stored is not pruned, and is when its time has come', async () => {
  let now = Date.now()
  const store = new SqliteStore({ path: newFile(), pruneInterval: false, now: () => now, ttl: 1000, touchInterval: 0 })
  for (let n = 0; n < 200; n += 1) await store.set(`id${n}`, {})
  now += 500
  for (let n = 0; n < 200; n += 2) await store.touch(`id${n}`, {})
  now += 500
  expect(await store.count()).toBe(100)
  expect(await store.prune()).toBe(100)
  expect(await store.count()).toBe(100)
  for (let n = 0; n < 200; n += 1) expect((await store.get(`id${n}`)) !== null).toBe(n % 2 === 0)
  now += 499
  expect(await store.prune()).toBe(0)
  now += 1
  expect(await store.count()).toBe(0)
  expect(await store.prune()).toBe(100)
  await store.close()
})

test('a session whose end was moved to earlier is pruned then', async () => {
  let now = Date.now()
  const store = new SqliteStore({ path: newFile(), pruneInterval: false, now: () => now })
  await store.set('id', { cookie: { expires: new Date(now + 100_000) } })
  const session = await store.get('id')
  session.cookie.expires = new Date(now + 1000)
  await store.set('id', session)
  now += 1000
  expect(await store.prune()).toBe(1)
  await store.close()
})

test('two processes prune at once', async () => {
  const path = newFile()
  const stores = [new SqliteStore({ path, pruneInterval: false }), new SqliteStore({ path, pruneInterval: false })]
  insert(path, 5000, Date.now() - 1)
  const [first = 0, second = 0] = await Promise.all(stores.map((store) => store.prune()))
  expect(first + second).toBe(5000)
  expect(Math.min(first, second)).toBeGreaterThan(0)
  for (const store of stores) await store.close()
})

/** Far more sessions than there is time to save one by one. */
function insert(path: string, count: number, expiresAt: number): void {
  const database = new Database(path)
  database
    .prepare(`
      INSERT INTO sessions (id, version, created_at, expires_at, check_at, data)
      SELECT hex(randomblob(21)), 'v', 0, @expiresAt, @expiresAt, printf('%.300c', 'x')
      FROM (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < @count) SELECT i FROM n)`)
    .run({ count, expiresAt })
  database.close()
}
