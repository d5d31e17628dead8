import type { StoreOptions } from '@session-stores/core'
import { abilitiesOf, casesFor, type OpenStore } from '@session-stores/core/conformance'
import { expressStore } from '@session-stores/core/express'
import { pluginCases } from '@session-stores/testing'
import { expressCases, expressListCases } from '@session-stores/testing/express-cases'
import { checkAgainstModel } from '@session-stores/testing/model'
import Database from 'better-sqlite3'
import { afterEach, describe, expect, test } from 'vitest'
import { SqliteStore } from '../src/index.ts'
import { abilities } from './abilities.ts'
import { newFiles } from './folder.ts'

const newFile = newFiles('sqlite-contract')

/** The databases that a test has given to its stores, by name. */
const given = new Map<string, Database.Database>()
const inMemory = (name: string) => {
  const database = given.get(name) ?? new Database(':memory:')
  given.set(name, database)
  return database
}
afterEach(() => {
  for (const database of given.values()) database.close()
  given.clear()
})

const openers: Record<string, OpenStore> = {
  'a file': (name, options) => new SqliteStore({ path: newFile(name), ...options }),
  'one given database in memory': (name, options) => new SqliteStore({ database: inMemory(name), ...options }),
}

describe.each(Object.entries(openers))('two SqliteStores over %s keep the contract', (_, openStore) => {
  test('they can do all that is optional', async () => {
    const store = await openStore('abilities', {})
    expect(abilitiesOf(store)).toEqual(abilities)
    await store.close()
  })

  for (const each of casesFor(abilities)) test(`${each.rule} ${each.name}`, () => each.run(openStore))
})

test("each store on ':memory:' has sessions of its own, and does what the others do", async () => {
  const stores = [new SqliteStore({ path: ':memory:' }), new SqliteStore({ path: ':memory:' })] as const
  await stores[0].set('id', { a: 1 })
  expect(await stores[0].get('id')).toMatchObject({ a: 1 })
  expect(await stores[1].get('id')).toBeNull()
  for (const store of stores) await store.close()
})

test('over random requests in two processes it does what the model does', async () => {
  await checkAgainstModel(async (options: StoreOptions) => {
    const path = newFile()
    return [new SqliteStore({ path, ...options }), new SqliteStore({ path, ...options })]
  })
})

describe('SqliteStore behind @fastify/session', () => {
  for (const each of pluginCases) test(each.name, () => each.run(() => new SqliteStore({ path: newFile() })))
})

describe('SqliteStore behind express-session', () => {
  for (const each of [...expressCases, ...expressListCases]) {
    test(each.name, () =>
      each.run((StoreClass) => {
        const store = new SqliteStore({ path: newFile() })
        return Object.assign(expressStore(StoreClass, store), { close: () => store.close() })
      }),
    )
  }
})
