import { createRequire } from 'node:module'
import { expressStore } from '@session-stores/core/express'
import { type Move, movingInCases, type OldStore } from '@session-stores/testing/moving-in-cases'
import Database from 'better-sqlite3'
import { describe, onTestFinished, test } from 'vitest'
import { SqliteStore } from '../src/index.ts'
import { newFiles } from './folder.ts'

const newFile = newFiles('sqlite-moving-in')
/** Made from whatever class its plugin wants stores to extend. */
const oldClass = createRequire(import.meta.url)('better-sqlite3-session-store') as (
  plugin: object,
) => new (options: {
  client: Database.Database
}) => OldStore

describe('from better-sqlite3-session-store', () => {
  test.each(movingInCases(expressStore))('$name', ({ run }) => run(makeMove))
})

function makeMove(): Move {
  const client = new Database(newFile())
  client.pragma('journal_mode = WAL')
  const path = newFile()
  onTestFinished(() => {
    client.close()
  })
  return {
    openOld: (plugin) => new (oldClass(plugin))({ client }),
    openNew: (options) => new SqliteStore({ path, ...options }),
    countOld: () => (client.prepare('SELECT count(*) AS n FROM sessions').get() as { n: number }).n,
  }
}
