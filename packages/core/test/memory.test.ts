import assert from 'node:assert/strict'
import { pluginCases } from '@session-stores/testing'
import { checkAgainstModel } from '@session-stores/testing/model'
import { describe, expect, test } from 'vitest'
import { abilitiesOf, casesFor } from '../src/conformance/index.ts'
import { MemoryStore, SessionStore, type StoreOptions } from '../src/index.ts'

const abilities = ['ping', 'insert', 'prune', 'count', 'scan', 'clear', 'findByUser', 'removeOfUser', 'check'] as const

describe('MemoryStore keeps the contract', () => {
  test('it can do all that is optional', () => {
    expect(abilitiesOf(new MemoryStore())).toEqual(abilities)
  })

  const first = new Map<string, MemoryStore>()
  /** A second store shares the records of the first; nothing else could, in memory. */
  const openStore = (name: string, options: StoreOptions) => {
    const shared = first.get(name)
    if (shared) return new SessionStore(shared.backend, options)
    const store = new MemoryStore(options)
    first.set(name, store)
    return store
  }
  for (const each of casesFor(abilities)) test(`${each.rule} ${each.name}`, () => each.run(openStore))

  test('over random requests in two processes it does what the model does', async () => {
    await checkAgainstModel(async (options) => {
      const store = new MemoryStore(options)
      return [store, new SessionStore(store.backend, options)]
    }, 2000)
  })
})

describe('MemoryStore behind @fastify/session', () => {
  for (const each of pluginCases) test(each.name, () => each.run(() => new MemoryStore()))
})

test('MemoryStore keeps text, never the live object', async () => {
  const store = new MemoryStore()
  const session = { cart: { apples: 1 } }
  await store.set('id', session)
  session.cart.apples = 2
  const loaded = await store.get('id')
  assert.deepEqual(loaded.cart, { apples: 1 })
  loaded.cart.apples = 3
  assert.deepEqual((await store.get('id')).cart, { apples: 1 })
})

test('MemoryStore prunes by itself, so that memory does not grow for ever', async () => {
  const store = new MemoryStore({ ttl: 1, pruneInterval: 5 })
  for (let n = 0; n < 3000; n += 1) await store.set(`id${n}`, {})
  await expect.poll(() => left(store)).toBe(0)
  await store.close()
})

async function left(store: MemoryStore): Promise<number> {
  const batch = await store.backend.scan?.()
  return batch?.records.length ?? 0
}
