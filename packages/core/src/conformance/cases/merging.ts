import assert from 'node:assert/strict'
import { defineCase } from '../case.ts'
import { dataOf, load, newSession } from '../data.ts'

/** Several requests that change one session at once. */
export const mergingCases = [
  defineCase('S25', 'two requests that set different keys both keep theirs', async ({ store, other, clock }) => {
    await store.set('id', newSession(clock, { user: 1 }))
    const [a, b] = [await load(store, 'id', clock), await load(other, 'id', clock)]
    await other.set('id', { ...b, b: 1 })
    await store.set('id', { ...a, a: 1 })
    assert.deepEqual(await dataOf(store, 'id'), { user: 1, a: 1, b: 1 })
  }),

  defineCase(
    'S26',
    'where both changed a key, the later writer has it; deletions count',
    async ({ store, other, clock }) => {
      await store.set('id', newSession(clock, { both: 0, mine: 0, theirs: 0, list: [1] }))
      const [a, b] = [await load(store, 'id', clock), await load(other, 'id', clock)]
      delete b.theirs
      delete a.mine
      await other.set('id', { ...b, both: 'theirs', list: [1, 2] })
      await store.set('id', { ...a, both: 'ours' })
      assert.deepEqual(await dataOf(store, 'id'), {
        both: 'ours',
        list: [1, 2],
      })
    },
  ),

  defineCase(
    'S27',
    'after a merge, saving the same object again deletes nothing of the others',
    async ({ store, other, clock }) => {
      await store.set('id', newSession(clock, {}))
      const [a, b] = [await load(store, 'id', clock), await load(other, 'id', clock)]
      await other.set('id', { ...b, b: 1 })
      a.a = 1
      await store.set('id', a)
      a.a = 2
      await store.set('id', a)
      assert.deepEqual(await dataOf(store, 'id'), { a: 2, b: 1 })
    },
  ),

  defineCase('S28', '64 requests at once on one session lose nothing', async ({ store, clock }) => {
    await store.set('id', newSession(clock))
    const writers = Array.from({ length: 64 }, (_, n) => `key${n}`)
    const loaded = await Promise.all(writers.map(() => load(store, 'id', clock)))
    await Promise.all(writers.map((key, n) => store.set('id', { ...loaded[n], [key]: n } as never)))
    assert.deepEqual(await dataOf(store, 'id'), Object.fromEntries(writers.map((key, n) => [key, n])))
  }),

  defineCase('S29', 'eight processes at once on one session lose nothing', async ({ store, open, clock }) => {
    await store.set('id', newSession(clock))
    const processes = await Promise.all(Array.from({ length: 8 }, () => open()))
    await Promise.all(
      processes.map(async (one, p) => {
        for (let n = 0; n < 4; n += 1)
          await one.set('id', {
            ...(await load(one, 'id', clock)),
            [`p${p}n${n}`]: true,
          })
      }),
    )
    assert.equal(Object.keys((await dataOf(store, 'id')) ?? {}).length, 32)
  }),

  defineCase(
    'S30',
    "onConflict: 'overwrite' stores the later writer's session as it is",
    async ({ store, other, clock }) => {
      await store.set('id', newSession(clock, { user: 1 }))
      const [a, b] = [await load(store, 'id', clock), await load(other, 'id', clock)]
      await other.set('id', { ...b, b: 1 })
      await store.set('id', { ...a, a: 1 })
      assert.deepEqual(await dataOf(store, 'id'), { user: 1, a: 1 })
    },
    { options: { onConflict: 'overwrite' } },
  ),
]
