import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { SqliteStore } from '../src/index.ts'
import { newFiles } from './folder.ts'
import { Worker } from './worker.ts'

const newFile = newFiles('sqlite-many')

describe('what many requests change in one turn of the event loop', () => {
  test('reaches the file as one transaction, after the first, which is made at once', async () => {
    const path = newFile()
    const store = open(path)
    const before = commitsIn(path)
    await Promise.all(ids(20).map((id) => store.set(id, { a: 1 })))
    expect(commitsIn(path) - before).toBe(2)
    for (const id of ids(3)) await store.set(id, { ...(await store.get(id)), a: 2 })
    expect(commitsIn(path) - before).toBe(5)
    expect(await store.count()).toBe(20)
  })

  test('fails alone where SQLite refuses one change, and its error tells nothing of the others', async () => {
    const path = newFile()
    const store = open(path)
    addTrigger(path, 'ABORT')
    const text = 'a word of the session '.repeat(10)
    const outcomes = await Promise.allSettled(
      ids(20).map((id, n) => store.set(id, { text, ...(n === 5 && { refused: true }) })),
    )
    expect(outcomes.flatMap(({ status }, n) => (status === 'rejected' ? [n] : []))).toEqual([5])
    expect(outcomes[5]).toMatchObject({ reason: { statusCode: 503, cause: { message: 'refused by a trigger' } } })
    expect(JSON.stringify(outcomes[5])).not.toContain('a word')
    expect(await store.count()).toBe(19)
  })

  test('fails together where SQLite undoes it all, and nothing of it is there', async () => {
    const path = newFile()
    const store = open(path)
    addTrigger(path, 'ROLLBACK')
    const outcomes = await Promise.allSettled(
      ids(20).map((id, n) => store.set(id, n === 5 ? { refused: true } : { n })),
    )
    // The first was a transaction of its own.
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', ...Array(19).fill('rejected')])
    expect(await store.count()).toBe(1)
    await Promise.all(ids(20).map((id, n) => store.set(`again ${id}`, { n })))
    expect(await store.count()).toBe(21)
  })
})

test('a process killed with many saves under way leaves every acknowledged one', async () => {
  const path = newFile()
  const acknowledged = new Map<string, number>()
  for (let round = 0; round < 6; round += 1) {
    const worker = new Worker('many-worker.ts', path)
    onTestFinished(() => worker.kill())
    const first = await worker.next()
    await sleep(Math.random() * 300) // whenever it is, everything must hold
    await worker.kill()
    const lines = [first, ...(await worker.rest())] as string[]
    for (const [id, n] of lines.map((line): [string, number] => JSON.parse(line))) acknowledged.set(id, n)

    const store = open(path)
    for (const [id, n] of acknowledged) {
      const session = await store.get(id)
      // It may have died after it had saved, and before it could say so.
      expect([n, n + 1]).toContain(session?.n)
      expect(session.text).toBe('x'.repeat(session.n))
      acknowledged.set(id, session.n)
    }
    await store.close()
  }
  expect(acknowledged.size).toBe(32)
  expect(Math.max(...acknowledged.values())).toBeGreaterThan(20)
})

function open(path: string): SqliteStore {
  const store = new SqliteStore({ path, pruneInterval: false })
  onTestFinished(() => store.close())
  return store
}

function ids(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `id${n}`)
}

/** Has SQLite refuse sessions that hold the word "refused". */
function addTrigger(path: string, action: 'ABORT' | 'ROLLBACK'): void {
  const database = new Database(path)
  database.exec(`
    CREATE TRIGGER refusing BEFORE INSERT ON sessions WHEN new.data LIKE '%refused%'
    BEGIN SELECT RAISE(${action}, 'refused by a trigger'); END`)
  database.close()
}

/** How many transactions are in the write-ahead log: see "WAL Format" in https://sqlite.org/walformat.html. */
function commitsIn(path: string): number {
  const log = readFileSync(`${path}-wal`)
  const frameSize = 24 + log.readUInt32BE(8)
  let commits = 0
  for (let frame = 32; frame < log.length; frame += frameSize) if (log.readUInt32BE(frame + 4) > 0) commits += 1
  return commits
}
