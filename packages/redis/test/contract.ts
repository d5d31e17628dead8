import { SessionStore } from '@session-stores/core'
import { abilitiesOf, casesFor } from '@session-stores/core/conformance'
import { pluginCases } from '@session-stores/testing'
import { checkAgainstModel } from '@session-stores/testing/model'
import { describe, expect, test } from 'vitest'
import { type RedisClient, RedisStore } from '../src/index.ts'
import { freshPrefix } from './drivers.ts'

const abilities = ['ping', 'count', 'scan', 'clear'] as const

/** All that every store promises, on this client. */
export function testContract(where: string, client: RedisClient): void {
  const makeStore = (options = {}) => new RedisStore({ client, prefix: freshPrefix(), ...options })

  describe(`RedisStore keeps the contract: ${where}`, () => {
    test('it can do all that is optional but pruning', () => {
      expect(abilitiesOf(makeStore())).toEqual(abilities)
    })

    for (const each of casesFor(abilities)) test(`${each.rule} ${each.name}`, () => each.run(makeStore))

    test('over random requests in two processes it does what the model does', async () => {
      await checkAgainstModel(async (options) => {
        const store = makeStore(options)
        return [store, new SessionStore(store.backend, options)]
      }, 50)
    })
  })

  describe(`RedisStore behind @fastify/session: ${where}`, () => {
    for (const each of pluginCases) test(each.name, () => each.run(() => makeStore()))
  })
}
