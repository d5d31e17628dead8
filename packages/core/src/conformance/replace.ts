import assert from 'node:assert/strict'
import { defineCase } from './case.ts'
import { newRecord, replaced, storageKey, stored } from './data.ts'

const key = storageKey()

/** The backend's replace. */
export const replaceCases = [
  defineCase('B13', 'replacing at the stored version overwrites', async ({ store: { backend }, clock }) => {
    const first = await backend.write(key, newRecord(clock, '{"a":1}'))
    const next = newRecord(clock, '{"a":2}', 60_000)
    const second = replaced(await backend.replace(key, next, first))
    assert.notEqual(second, first)
    assert.deepEqual(await backend.read(key), {
      record: next,
      version: second,
    })
    replaced(await backend.replace(key, newRecord(clock, '{"a":3}'), second))
  }),

  defineCase('B14', "replacing at another version answers 'conflict' and changes nothing", async ({ store, clock }) => {
    const { backend } = store
    const first = await backend.write(key, newRecord(clock, '{"a":1}'))
    const second = replaced(await backend.replace(key, newRecord(clock, '{"a":2}'), first))
    assert.equal(await backend.replace(key, newRecord(clock, '{"a":3}'), first), 'conflict')
    assert.deepEqual(await backend.read(key), {
      record: newRecord(clock, '{"a":2}'),
      version: second,
    })
  }),

  defineCase(
    'B15',
    "replacing what is gone answers 'missing' and makes nothing",
    async ({ store: { backend }, clock }) => {
      const version = await backend.write(key, newRecord(clock))
      await backend.remove(key)
      assert.equal(await backend.replace(key, newRecord(clock), version), 'missing')
      assert.equal(await backend.read(key), undefined)
    },
  ),

  defineCase('B16', 'of many who replace one version at once, one succeeds', async ({ store: { backend }, clock }) => {
    const version = await backend.write(key, newRecord(clock))
    const answers = await Promise.all(
      Array.from({ length: 32 }, (_, n) => backend.replace(key, newRecord(clock, `{"n":${n}}`), version)),
    )
    const winners = answers.flatMap((answer, n) => (answer === 'conflict' ? [] : [n]))
    assert.equal(winners.length, 1)
    assert.equal((await stored(backend, key)).record.data, `{"n":${winners[0]}}`)
  }),

  defineCase('B17', 'a version never comes again, not even after a removal', async ({ store: { backend }, clock }) => {
    const first = await backend.write(key, newRecord(clock))
    await backend.remove(key)
    await backend.write(key, newRecord(clock))
    assert.equal(await backend.replace(key, newRecord(clock, '{"a":2}'), first), 'conflict')
  }),

  defineCase('B18', 'a touch in between is no conflict', async ({ store: { backend }, clock }) => {
    const record = newRecord(clock)
    const version = await backend.write(key, record)
    await backend.touch(key, record.expiresAt + 60_000, version)
    replaced(await backend.replace(key, { ...record, expiresAt: record.expiresAt + 30_000 }, version))
    assert.equal((await stored(backend, key)).record.expiresAt, record.expiresAt + 30_000)
  }),
]
