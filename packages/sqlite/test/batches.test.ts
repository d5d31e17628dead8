import { performance } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { SqliteStore } from '../src/index.ts'
import { newFiles } from './folder.ts'
import { Worker } from './worker.ts'

const newFile = newFiles('sqlite-batches')

const HOUR = 3_600_000
/** How long a session must be over before it is pruned. */
const MARGIN = 2 * HOUR

describe('in small batches, while requests go on', () => {
  test('20,000 expired sessions are pruned', async () => {
    const path = newFile()
    const store = new SqliteStore({ path, pruneInterval: false })
    insert(path, 20_000, Date.now() - MARGIN - 1)
    insert(path, 1000, Date.now() + 60_000)
    const turns = await turnsDuring(store.prune(), () => store.set('id', { a: 1 }))
    expect(turns).toBeGreaterThan(400)
    expect(await store.count()).toBe(1001)
    await store.close()
  })

  test('20,000 sessions are cleared, to an end though new ones begin all the time', async () => {
    const path = newFile()
    const store = new SqliteStore({ path, pruneInterval: false })
    const loaded = await newSession(store, 'loaded')
    insert(path, 20_000, Date.now() + 60_000)
    let requests = 0
    const turns = await turnsDuring(store.clear(), () => {
      requests += 1
      return requests % 20 === 0 ? store.set(`new ${requests}`, { requests }) : store.get('loaded')
    })
    expect(turns).toBeGreaterThan(200)
    expect(await store.count()).toBeLessThanOrEqual(requests / 20)
    await store.set('loaded', { ...loaded, late: true })
    expect(await store.get('loaded')).toBeNull()
    await store.close()
  })

  test('20,000 sessions are counted and listed', async () => {
    const path = newFile()
    const store = new SqliteStore({ path, pruneInterval: false })
    insert(path, 20_000, Date.now() + 60_000, '{}')
    insert(path, 500, Date.now() - 1)
    let count = 0
    const counted = store.count().then((came) => {
      count = came
    })
    expect(await turnsDuring(counted, () => store.get('id'))).toBeGreaterThan(5)
    expect(count).toBe(20_000)
    const handles = new Set<string>()
    const listed = (async () => {
      for await (const { handle } of store.scan()) handles.add(handle)
    })()
    expect(await turnsDuring(listed, () => store.get('id'))).toBeGreaterThan(200)
    expect(handles.size).toBe(20_000)
    await store.close()
  })
})

test('a script that does nothing else sees them through', async () => {
  const path = newFile()
  await new SqliteStore({ path }).close()
  insert(path, 5000, Date.now() + 60_000, '{}')
  insert(path, 500, Date.now() - MARGIN)
  const output = await new Worker('batch-worker.ts', path).output()
  expect(JSON.parse(output.join(''))).toEqual({ counted: 5000, listed: 5000, pruned: 500, left: 0 })
})

test('a process whose clock is an hour ahead prunes nobody else’s sessions', async () => {
  const path = newFile()
  const store = new SqliteStore({ path, pruneInterval: false })
  const ahead = new SqliteStore({ path, pruneInterval: false, now: () => Date.now() + HOUR })
  await newSession(store, 'ada')
  insert(path, 70, Date.now() - MARGIN)
  expect(await ahead.get('ada')).toBeNull()
  expect(await ahead.prune()).toBe(70)
  expect(await store.get('ada')).not.toBeNull()
  for (const each of [store, ahead]) await each.close()
})

test('a session that was prolonged since it was stored is not pruned, and is when its time has come', async () => {
  let now = Date.now()
  const options = { pruneInterval: false, now: () => now, ttl: 10 * HOUR, touchInterval: 0 } as const
  const store = new SqliteStore({ path: newFile(), ...options })
  for (let n = 0; n < 200; n += 1) await store.set(`id${n}`, {})
  now += 5 * HOUR
  for (let n = 0; n < 200; n += 2) await store.touch(`id${n}`, {})
  now += 5 * HOUR
  expect(await store.count()).toBe(100)
  expect(await store.prune()).toBe(0)
  now += MARGIN
  expect(await store.prune()).toBe(100)
  expect(await store.count()).toBe(100)
  for (let n = 0; n < 200; n += 1) expect((await store.get(`id${n}`)) !== null).toBe(n % 2 === 0)
  now += 3 * HOUR
  expect(await store.count()).toBe(0)
  now += MARGIN - 1
  expect(await store.prune()).toBe(0)
  now += 1
  expect(await store.prune()).toBe(100)
  await store.close()
})

test('a session whose end was moved to earlier is pruned then', async () => {
  let now = Date.now()
  const store = new SqliteStore({ path: newFile(), pruneInterval: false, now: () => now })
  await store.set('id', { cookie: { expires: new Date(now + 100 * HOUR) } })
  const session = await store.get('id')
  session.cookie.expires = new Date(now + 1000)
  await store.set('id', session)
  now += 1000 + MARGIN
  expect(await store.prune()).toBe(1)
  await store.close()
})

test('sessions that were stored before absoluteTimeout was set are neither counted nor kept', async () => {
  const path = newFile()
  await new SqliteStore({ path }).close()
  insert(path, 2500, Date.now() + 100 * HOUR)
  const store = new SqliteStore({ path, pruneInterval: false, absoluteTimeout: HOUR })
  await newSession(store, 'ada')
  insert(path, 60, Date.now() + 100 * HOUR)
  expect(await store.count()).toBe(1)
  expect(await store.prune()).toBe(2560)
  expect(await store.get('ada')).not.toBeNull()
  expect(await store.prune()).toBe(0)
  await store.close()
})

test('two processes prune at once', async () => {
  const path = newFile()
  const stores = [new SqliteStore({ path, pruneInterval: false }), new SqliteStore({ path, pruneInterval: false })]
  insert(path, 5000, Date.now() - MARGIN)
  const [first = 0, second = 0] = await Promise.all(stores.map((store) => store.prune()))
  expect(first + second).toBe(5000)
  expect(Math.min(first, second)).toBeGreaterThan(0)
  for (const store of stores) await store.close()
})

/** How often the event loop comes round with a request each until the work is done. Prints how long a turn took. */
async function turnsDuring(work: Promise<unknown>, request: () => Promise<unknown>): Promise<number> {
  let isDone = false
  const done = work.finally(() => {
    isDone = true
  })
  const turns: number[] = []
  for (let last = performance.now(); !isDone; last = performance.now()) {
    await request()
    await nextTurn()
    turns.push(performance.now() - last)
  }
  await done
  turns.sort((a, b) => a - b)
  const [p50, p99, max] = [0.5, 0.99, 1].map((part) => turns[Math.ceil(turns.length * part) - 1]?.toFixed(1))
  console.log(`${turns.length} turns of the event loop: p50 ${p50}, p99 ${p99}, max ${max} ms`)
  return turns.length
}

async function newSession(store: SqliteStore, id: string): Promise<object> {
  await store.set(id, { cookie: { expires: new Date(Date.now() + HOUR / 2) } })
  return (await store.get(id)) as object
}

/** Writes rows without the store, which would take too long for so many. */
function insert(path: string, count: number, expiresAt: number, data = 'x'.repeat(300)): void {
  const database = new Database(path)
  database
    .prepare(`
      INSERT INTO sessions (id, version, created_at, expires_at, check_at, data)
      SELECT hex(randomblob(21)), 'v', 0, @expiresAt, @expiresAt, @data
      FROM (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < @count) SELECT i FROM n)`)
    .run({ count, expiresAt, data })
  database.close()
}
