import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { SqliteStore, type SqliteStoreOptions } from '../src/index.ts'
import { newFiles } from './folder.ts'

const newFile = newFiles('sqlite-options')

describe('a wrong option is a TypeError that names it, what it wants and what it got', () => {
  test.each([
    [undefined, /options must be an object with a path or a database; got undefined/],
    [null, /options must be an object with a path or a database; got null/],
    [{}, /either path or database; got neither/],
    [{ path: 'x', database: {} }, /either path or database; got both/],
    [{ path: 5 }, /path must be the path of a file, or ':memory:'; got 5/],
    [{ path: '' }, /path must be .*; got ''/],
    [{ path: 'a\0b' }, /path must be .*; got 'a\\x00b'/],
    [{ path: 'file:sessions.sqlite' }, /path must be .*; got 'file:sessions.sqlite'/],
    [{ path: new URL('file:///tmp/x') }, /path must be .*; got URL/],
    [{ path: ':memory:', synchronous: 'full' }, /synchronous must be 'NORMAL' or 'FULL'; got 'full'/],
    [{ path: ':memory:', synchronous: 1 }, /synchronous must be 'NORMAL' or 'FULL'; got 1/],
    [{ path: ':memory:', timeout: -1 }, /timeout must be/],
    [{ path: ':memory:', tll: 5 }, /unknown option 'tll'/],
    [{ database: 'sessions.sqlite' }, /database must be an open better-sqlite3 Database; got 'sessions.sqlite'/],
    [{ database: {} }, /database must be an open better-sqlite3 Database; got {}/],
    [{ database: new Database(':memory:').close() }, /database must be open; got a closed one/],
    [{ database: new Database(':memory:').exec('BEGIN') }, /database must not be inside a transaction/],
    [{ database: new Database(':memory:'), synchronous: 'FULL' }, /synchronous must be left out with database/],
  ])('%o', (options, message) => {
    expect(() => new SqliteStore(options as unknown as SqliteStoreOptions)).toThrow(TypeError)
    expect(() => new SqliteStore(options as unknown as SqliteStoreOptions)).toThrow(message)
  })

  test('a database that was opened readonly', () => {
    const path = newFile()
    new Database(path).exec('CREATE TABLE t (x)').close()
    const database = new Database(path, { readonly: true })
    expect(() => new SqliteStore({ database })).toThrow(/database must be open for writing/)
    database.close()
  })
})

test('nothing is opened for a store that cannot be', () => {
  const path = newFile()
  expect(() => new SqliteStore({ path, ttl: -1 })).toThrow(TypeError)
  expect(existsSync(path)).toBe(false)
})

test('the options given stay as they are', async () => {
  const options = Object.freeze({ path: ':memory:', synchronous: 'FULL', ttl: 1000 } as const)
  await new SqliteStore(options).close()
})
