import { createRequire } from 'node:module'
import { expressStore } from '@session-stores/core/express'
import { type Move, movingInCases, type OldStore } from '@session-stores/testing/moving-in-cases'
import type memjs from 'memjs'
import { describe, test } from 'vitest'
import { MemcachedStore } from '../src/index.ts'
import { noMemcached, testClient, testServer } from './setup.ts'

/** Made from whatever class its plugin wants stores to extend. */
const oldClass = createRequire(import.meta.url)('connect-memjs') as (
  plugin: object,
) => new (options: {
  client: memjs.Client
}) => OldStore

describe.skipIf(noMemcached)('from connect-memjs', () => {
  test.each(movingInCases(expressStore))('$name', ({ run }) => run(makeMove))
})

/** On the same server, with each prefix as it is by default: the old store has none. */
async function makeMove(): Promise<Move> {
  const server = await testServer()
  const client = testClient([server])
  return {
    openOld: (plugin) => new (oldClass(plugin))({ client }),
    openNew: (options) => new MemcachedStore({ client, ...options }),
    countOld: async () => (await server.keys()).filter((key) => !key.startsWith('sess:')).length,
  }
}
