import type { StoreOptions } from '@session-stores/core'
import { abilitiesOf, casesFor } from '@session-stores/core/conformance'
import { pluginCases } from '@session-stores/testing'
import { checkAgainstModel } from '@session-stores/testing/model'
import { describe, expect, test } from 'vitest'
import { MemcachedStore } from '../src/index.ts'
import { abilities, freshPrefix, noMemcached, testStore, useClient, useServers } from './setup.ts'

describe.skipIf(noMemcached).each([
  ['one server', 1],
  ['a pool of three', 3],
])('on %s', (_, count) => {
  const servers = useServers(count)
  const client = useClient(servers)
  const openStore = (prefix: string, options: StoreOptions = {}) =>
    new MemcachedStore({ client: client(), prefix, ...options })

  describe('MemcachedStore keeps the contract', () => {
    test('of what is optional, it can ping, insert and clear', () => {
      expect(abilitiesOf(testStore(servers()))).toEqual(abilities)
    })

    for (const each of casesFor(abilities)) test(`${each.rule} ${each.name}`, () => each.run(openStore))

    test('over random requests in two processes it does what the model does', async () => {
      await checkAgainstModel(async (options) => {
        const prefix = freshPrefix()
        return [openStore(prefix, options), openStore(prefix, options)]
      })
    })
  })

  describe('MemcachedStore behind @fastify/session', () => {
    for (const each of pluginCases) test(each.name, () => each.run(() => openStore(freshPrefix())))
  })
})
