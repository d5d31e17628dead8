import type { StoreOptions } from '@session-stores/core'
import { abilitiesOf, casesFor } from '@session-stores/core/conformance'
import { pluginCases } from '@session-stores/testing'
import { checkAgainstModel } from '@session-stores/testing/model'
import { describe, expect, test } from 'vitest'
import { type RedisClient, RedisStore } from '../src/index.ts'
import { freshPrefix } from './drivers.ts'

const abilities = ['ping', 'insert', 'count', 'scan', 'clear', 'findByUser', 'removeOfUser', 'check'] as const

/** All that every store promises, on this client. */
export function testContract(where: string, client: RedisClient): void {
  const openStore = (prefix: string, options: StoreOptions = {}) => new RedisStore({ client, prefix, ...options })

  describe(`RedisStore keeps the contract: ${where}`, () => {
    test('it can do all that is optional but pruning', async () => {
      const store = openStore('any')
      expect(abilitiesOf(store)).toEqual(abilities)
      await store.close()
    })

    for (const each of casesFor(abilities)) test(`${each.rule} ${each.name}`, () => each.run(openStore))

    test('over random requests in two processes it does what the model does', async () => {
      await checkAgainstModel(async (options) => {
        const prefix = freshPrefix()
        return [openStore(prefix, options), openStore(prefix, options)]
      }, 50)
    })
  })

  describe(`RedisStore behind @fastify/session: ${where}`, () => {
    for (const each of pluginCases) test(each.name, () => each.run(() => openStore(freshPrefix())))
  })
}
