import { expressCases, expressListCases } from '@session-stores/testing/express-cases'
import { describe, expect, test } from 'vitest'
import { expressStore } from '../src/face/express.ts'
import { MemoryStore } from '../src/index.ts'

describe('MemoryStore behind express-session', () => {
  for (const { name, run } of [...expressCases, ...expressListCases]) {
    test(name, () =>
      run((StoreClass) => {
        const store = new MemoryStore()
        return Object.assign(expressStore(StoreClass, store), { close: () => store.close() })
      }),
    )
  }
})

test('what fails without a callback is carried out in silence', async () => {
  class Store {}
  const store = new MemoryStore()
  const face = expressStore(Store, store)
  expect(() => face.set('', {})).not.toThrow()
  face.set('id', { a: 1 })
  expect(await store.get('id')).toMatchObject({ a: 1 })
})
