import { DatabaseSync } from 'node:sqlite'
import Database from 'better-sqlite3'
import Encrypted from 'better-sqlite3-multiple-ciphers'
import Libsql from 'libsql'
import type { SqliteDatabase } from '../src/index.ts'

interface Opening {
  /** How long SQLite waits for locks of others, in ms. */
  timeout?: number
  /** Whether it gives integers as `bigint` unless told otherwise. */
  bigints?: boolean
}

type OpenDatabase = (path: string, opening?: Opening) => SqliteDatabase

/** The drivers that run under Node. */
export const drivers: Record<string, OpenDatabase> = {
  'better-sqlite3': (path, { timeout = 100, bigints = false } = {}) =>
    new Database(path, { timeout }).defaultSafeIntegers(bigints),
  'better-sqlite3-multiple-ciphers': (path, { timeout = 100, bigints = false } = {}) => {
    const database = new Encrypted(path, { timeout })
    database.pragma("key = 'a key of the tests'")
    return database.defaultSafeIntegers(bigints)
  },
  libsql: (path, { timeout = 100, bigints = false } = {}) => new Libsql(path, { timeout }).defaultSafeIntegers(bigints),
  'node:sqlite': (path, { timeout = 100, bigints = false } = {}) =>
    new DatabaseSync(path, { timeout, readBigInts: bigints, returnArrays: bigints }),
}
