import { closeSync, openSync, readFileSync, renameSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import type { StoreOptions } from '@session-stores/core'
import { abilitiesOf, casesFor } from '@session-stores/core/conformance'
import { until } from '@session-stores/testing'
import Database from 'better-sqlite3'
import { afterEach, describe, expect, test } from 'vitest'
import { type SqliteDatabase, SqliteStore } from '../src/index.ts'
import { abilities } from './abilities.ts'
import { drivers } from './drivers.ts'
import { newFiles } from './folder.ts'

const newFile = newFiles('sqlite-drivers')

const opened: SqliteDatabase[] = []
afterEach(() => {
  for (const database of opened.splice(0)) database.close()
})

describe.each(Object.entries(drivers))('given a database of %s,', (name, openDatabase) => {
  describe('two stores keep the contract:', () => {
    const openStore = (fileName: string, options: StoreOptions) => {
      return new SqliteStore({ database: open(newFile(`${name.replaceAll(':', '-')}-${fileName}`)), ...options })
    }

    test('they can do all that is optional', async () => {
      const store = openStore('abilities', {})
      expect(abilitiesOf(store)).toEqual(abilities)
      await store.close()
    })

    // As the README says to open one; the other cases hold without that, too.
    const openWell = (fileName: string, options: StoreOptions) => {
      const path = newFile(`${name.replaceAll(':', '-')}-${fileName}`)
      closeSync(openSync(path, 'a', 0o600))
      const database = open(path)
      database.exec('PRAGMA journal_mode = WAL')
      return new SqliteStore({ database, ...options })
    }
    for (const each of casesFor(abilities)) {
      test(`${each.rule} ${each.name}`, () => each.run(each.needs.includes('check') ? openWell : openStore))
    }
  })

  test('it may give big integers and arrays unless told otherwise', async () => {
    const store = new SqliteStore({ database: open(newFile(), { bigints: true }), userOf: ({ a }) => a })
    await Promise.all([1, 2, 3].map((a) => store.set(`id${a}`, { a })))
    expect(await store.count()).toBe(3)
    for await (const { expiresAt } of store.scan()) expect(expiresAt).toBeTypeOf('number')
    expect(await store.get('id1')).toMatchObject({ a: 1 })
    expect(await store.prune()).toBe(0)
    expect(await store.destroyByUser(2)).toBe(1)
    await store.close()
  })

  test('it stays open when the store is closed, with the settings it had', async () => {
    const path = newFile()
    const database = open(path, { timeout: 123 })
    database.exec('PRAGMA synchronous = FULL')
    const settings = () =>
      ['journal_mode', 'synchronous', 'busy_timeout', 'wal_autocheckpoint', 'journal_size_limit'].map((each) =>
        Object.values(database.prepare(`PRAGMA ${each}`).get() as object).at(0),
      )
    const before = settings()
    const store = new SqliteStore({ database })
    await store.set('id', { a: 1 })
    expect(settings()).toEqual(before)
    await store.close()
    expect(settings()).toEqual(before)
  })

  test('it is refused when it is closed, inside a transaction, or holds something else', () => {
    const closed = openDatabase(newFile())
    closed.close()
    expect(() => new SqliteStore({ database: closed })).toThrow('database must be open; got a closed one')
    const busy = open(newFile())
    busy.exec('BEGIN')
    expect(() => new SqliteStore({ database: busy })).toThrow('database must not be inside a transaction')
    const foreign = open(newFile())
    foreign.exec('CREATE TABLE users (id)')
    expect(() => new SqliteStore({ database: foreign })).toThrow(/give them a database of their own/)
    foreign.exec('BEGIN; ROLLBACK') // none was left open
  })

  test('a save waits for a transaction of the application, and is not rolled back with it', async () => {
    const database = open(newFile())
    const store = new SqliteStore({ database })
    database.exec('BEGIN')
    const saved = Promise.all([1, 2, 3].map((a) => store.set(`id${a}`, { a })))
    await sleep(50)
    database.exec('ROLLBACK')
    await saved
    expect(await store.count()).toBe(3)
    await store.close()
  })

  test('a transaction of the application that never ends is an error, not a hang', async () => {
    const database = open(newFile())
    const store = new SqliteStore({ database, timeout: 300 })
    database.exec('BEGIN')
    const cause = { message: expect.stringContaining('inside a transaction') }
    for (const call of [store.set('id', { a: 1 }), store.get('id')]) {
      await expect(call).rejects.toMatchObject({ code: 'SESSION_STORE_UNAVAILABLE', cause })
    }
    database.exec('ROLLBACK')
    await store.close()
  })

  test('while another connection holds the lock, reads go on, and a save waits and then fails', async () => {
    const path = newFile()
    const [database, other] = [open(path, { timeout: 0 }), open(path)]
    const store = new SqliteStore({ database, timeout: 300 })
    await store.set('id', { a: 1 })
    other.exec('BEGIN IMMEDIATE')
    const outcomes = await Promise.allSettled([1, 2, 3].map((n) => store.set(`new${n}`, { n })))
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ reason: { statusCode: 503, cause: { message: 'database is locked' } } })
    }
    expect(await store.get('id')).toMatchObject({ a: 1 })
    other.exec('ROLLBACK')
    await until('it saves again', () => store.set('id2', {}).then(() => true))
    // As others see it: libsql, left to itself, commits nothing any more once it has met a lock.
    expect(other.prepare('SELECT count(*) AS n FROM sessions').get()).toMatchObject({ n: 2 })
    await store.close()
  })

  test('when the disk is full, what was saved is there, and what was not has failed', async () => {
    const database = open(newFile())
    const store = new SqliteStore({ database })
    database.exec('PRAGMA max_page_count = 60')
    const text = 'x'.repeat(10_000)
    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, (_, n) => store.set(`id${n}`, { n, text })))
    const isSaved = outcomes.map(({ status }) => status === 'fulfilled')
    const found = await Promise.all(outcomes.map((_, n) => store.get(`id${n}`)))
    expect(found.map((session) => session !== null)).toEqual(isSaved)
    expect(isSaved).toContain(false)
    for (const outcome of outcomes.filter(({ status }) => status === 'rejected')) {
      expect(outcome).toMatchObject({ reason: { statusCode: 503, cause: { message: /database or disk is full/ } } })
    }
    database.exec('PRAGMA max_page_count = 10000')
    await store.set('id', { text })
    expect(await store.get('id')).toMatchObject({ text })
    await store.close()
  })

  test('that its file was moved is noticed', async () => {
    const path = newFile()
    const store = new SqliteStore({ database: open(path) })
    await store.set('id', { a: 1 })
    renameSync(path, `${path}-old`)
    const failure = () =>
      store.get('id').then(
        () => undefined,
        (error: Error) => error,
      )
    expect(await until('it is noticed', failure)).toMatchObject({
      statusCode: 503,
      cause: { message: expect.stringContaining(`${path} was moved or deleted`) },
    })
    renameSync(`${path}-old`, path)
    expect(await store.get('id')).toMatchObject({ a: 1 })
    await store.close()
  })

  /** With a write-ahead log. */
  function open(path: string, opening: Parameters<typeof openDatabase>[1] = {}): SqliteDatabase {
    const database = openDatabase(path, opening)
    database.exec('PRAGMA journal_mode = WAL')
    opened.push(database)
    return database
  }
})

test.each([
  ['better-sqlite3', (path: string) => new Database(path, { readonly: true })],
  ['node:sqlite', (path: string) => new DatabaseSync(path, { readOnly: true })],
])('a database of %s that was opened for reading only is refused', async (_, openReadonly) => {
  const path = newFile()
  await new SqliteStore({ path }).close()
  const database = openReadonly(path)
  opened.push(database)
  expect(() => new SqliteStore({ database })).toThrow('database must be open for writing; got a readonly one')
})

test('without a write-ahead log it works too', async () => {
  const path = newFile()
  const [first, second] = [new DatabaseSync(path), new DatabaseSync(path)]
  opened.push(first, second)
  const stores = [new SqliteStore({ database: first }), new SqliteStore({ database: second })]
  const saves = Array.from({ length: 200 }, (_, n) => stores[n % 2]?.set(`id${n}`, { n }))
  await Promise.all(saves)
  for (const store of stores) expect(await store.count()).toBe(200)
  for (const store of stores) await store.close()
})

test('an encrypted file holds nothing that can be read', async () => {
  const path = newFile()
  const database = drivers['better-sqlite3-multiple-ciphers']?.(path) as SqliteDatabase
  const store = new SqliteStore({ database })
  await store.set('id', { text: 'a word of the session' })
  await store.close()
  database.close()
  expect(readFileSync(path, 'latin1')).not.toMatch(/a word of the session|CREATE TABLE|SQLite format/)
  expect(() => new SqliteStore({ path })).toThrow(`${path} is not a SQLite database`)
})
