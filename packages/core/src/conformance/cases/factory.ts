import assert from 'node:assert/strict'
import { defineCase, newName } from '../case.ts'
import { dataOf, newSession } from '../data.ts'

/** The function that opens the stores: without this, the other cases prove nothing. */
export const factoryCases = [
  defineCase(
    'B0',
    'stores of one name share their data and nothing else; stores of different names share nothing',
    async ({ store, other, open, clock }) => {
      assert.notEqual(store, other)
      assert.notEqual(store.backend, other.backend)
      const elsewhere = await open({ name: newName() })
      await store.set('id', newSession(clock, { a: 1 }))
      assert.deepEqual(await dataOf(other, 'id'), { a: 1 }, 'one name, one set of data')
      assert.equal(await dataOf(elsewhere, 'id'), null, 'two names, two sets of data')
      await store.close()
      assert.deepEqual(await dataOf(other, 'id'), { a: 1 }, 'closing one store closes no other')
      assert.deepEqual(await dataOf(await open(), 'id'), { a: 1 }, 'the data outlives the store that wrote it')
    },
  ),
]
