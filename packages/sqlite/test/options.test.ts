import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { inspect } from 'node:util'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { SqliteStore, type SqliteStoreOptions } from '../src/index.ts'
import { newFiles } from './folder.ts'

const newFile = newFiles('sqlite-options')

describe('a wrong option is a TypeError that names it, what it wants and what kind of thing it got', () => {
  test.each([
    [undefined, /options must be an object; got undefined/],
    [null, /options must be an object; got null/],
    ['sessions.sqlite', /options must be an object; got a string/],
    [{}, /either path or database; got neither/],
    [{ path: 'x', database: new Database(':memory:') }, /either path or database; got both/],
    [{ path: 5 }, /path must be the path of a file, or ':memory:'; .*; got 5/],
    [{ path: '' }, /path must be .*; got an empty string/],
    [{ path: 'a\0b' }, /path must be .*; got a string/],
    [{ path: 'file:sessions.sqlite' }, /path must be .* of a URL, fileURLToPath\(url\) makes one; got a string/],
    [{ path: new URL('file:///tmp/x') }, /path must be .* of a URL, fileURLToPath\(url\) makes one; got an object/],
    [{ path: ':memory:', synchronous: 'full' }, /synchronous must be 'NORMAL' or 'FULL', in capitals; got a string/],
    [{ path: ':memory:', synchronous: 1 }, /synchronous must be 'NORMAL' or 'FULL', in capitals; got 1/],
    [{ path: ':memory:', timeout: -1 }, /timeout must be/],
    [{ path: ':memory:', tll: 5 }, /unknown option 'tll': there are path, synchronous, database, ttl/],
    [{ db: 'sessions.sqlite' }, /unknown option 'db': here it is path/],
    [{ dir: '/tmp' }, /unknown option 'dir': here it is path/],
    [{ path: ':memory:', table: 'sessions' }, /unknown option 'table': here it is not needed/],
    [{ client: new Database(':memory:') }, /unknown option 'client': here it is database/],
    [{ path: ':memory:', expired: { clear: true } }, /unknown option 'expired': here it is pruneInterval, in ms/],
    [{ database: 'sessions.sqlite' }, /database must be .* of better-sqlite3, .* of node:sqlite .*; got a string/],
    [{ database: {} }, /database must be .* of better-sqlite3, .* of node:sqlite .*; got an object/],
    [{ database: new Database(':memory:').close() }, /database must be open; got a closed one/],
    [{ database: new DatabaseSync(':memory:'), synchronous: 'FULL' }, /synchronous must be left out with database/],
    [{ database: new Database(':memory:'), synchronous: 'FULL' }, /synchronous must be left out with database/],
  ])('%o', (options, message) => {
    expect(() => new SqliteStore(options as unknown as SqliteStoreOptions)).toThrow(TypeError)
    expect(() => new SqliteStore(options as unknown as SqliteStoreOptions)).toThrow(message)
  })

  test.each([
    'postgres://me:hunter2@host/sessions',
    { path: 'file:sessions.sqlite?key=hunter2' },
    { path: new URL('file:///sessions.sqlite?key=hunter2') },
    { path: 'hunter2\0' },
    { path: { password: 'hunter2' } },
    { path: ':memory:', synchronous: 'hunter2' },
    { database: 'hunter2' },
    { database: { password: 'hunter2' } },
  ])('and shows nothing of it, which may hold a password: %#', (options) => {
    let thrown: unknown
    try {
      new SqliteStore(options as unknown as SqliteStoreOptions)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(TypeError)
    expect(inspect(thrown, { depth: 5, showHidden: true })).not.toContain('hunter2')
  })
})

test('a store with wrong options opens nothing', () => {
  const path = newFile()
  expect(() => new SqliteStore({ path, ttl: -1 })).toThrow(TypeError)
  expect(existsSync(path)).toBe(false)
})

test('the options given stay as they are', async () => {
  const options = Object.freeze({ path: ':memory:', synchronous: 'FULL', ttl: 1000 } as const)
  await new SqliteStore(options).close()
})

test('an option may be undefined, as one from the environment may', async () => {
  const options: SqliteStoreOptions = { path: ':memory:', synchronous: undefined, database: undefined }
  const store = new SqliteStore(options)
  await store.set('id', { a: 1 })
  await store.close()
})
