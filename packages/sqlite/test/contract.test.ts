import type { StoreOptions } from '@session-stores/core'
import { abilitiesOf, casesFor } from '@session-stores/core/conformance'
import { pluginCases } from '@session-stores/testing'
import { checkAgainstModel } from '@session-stores/testing/model'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { SqliteStore } from '../src/index.ts'
import { newFiles } from './folder.ts'

const abilities = ['ping', 'prune', 'count', 'scan', 'clear'] as const
const newFile = newFiles('sqlite-contract')

const makers = {
  'a file': (options: StoreOptions = {}) => new SqliteStore({ path: newFile(), ...options }),
  memory: (options: StoreOptions = {}) => new SqliteStore({ path: ':memory:', ...options }),
  'a given database': (options: StoreOptions = {}) => {
    const database = new Database(newFile(), { timeout: 100 })
    return new SqliteStore({ database, ...options })
  },
}

describe.each(Object.entries(makers))('SqliteStore over %s keeps the contract', (_, makeStore) => {
  test('it can do all that is optional', async () => {
    const store = makeStore()
    expect(abilitiesOf(store)).toEqual(abilities)
    await store.close()
  })

  for (const each of casesFor(abilities)) test(`${each.rule} ${each.name}`, () => each.run(makeStore))
})

test('over random requests in two processes it does what the model does', async () => {
  await checkAgainstModel(async (options) => {
    const path = newFile()
    return [new SqliteStore({ path, ...options }), new SqliteStore({ path, ...options })]
  })
})

describe('SqliteStore behind @fastify/session', () => {
  for (const each of pluginCases) test(each.name, () => each.run(() => makers['a file']()))
})
