import assert from 'node:assert/strict'
import type { Version } from '../../backend.ts'
import { defineCase } from '../case.ts'
import { LIFETIME, newRecord, replaced, storageKey, stored } from '../data.ts'
import { forMeetings } from '../meetings.ts'

const key = storageKey()

/** The backend's replace. */
export const replaceCases = [
  defineCase('B13', 'replacing at the stored version overwrites', async ({ records, clock }) => {
    const first = await records.write(key, newRecord(clock, '{"a":1}'))
    // All of it may change: the user too, at a log-in.
    const next = { ...newRecord(clock, '{"a":2}', 60_000), createdAt: clock.ms - 1, userId: 'ada' }
    const second = replaced(await records.replace(key, next, first))
    assert.notEqual(second, first)
    assert.deepEqual(await records.read(key), {
      record: next,
      version: second,
    })
    const last = newRecord(clock, '{"a":3}')
    replaced(await records.replace(key, last, second))
    assert.deepEqual((await stored(records, key)).record, last)
  }),

  defineCase(
    'B14',
    "replacing at another version answers 'conflict' and changes nothing",
    async ({ records, clock }) => {
      const first = await records.write(key, newRecord(clock, '{"a":1}'))
      const second = replaced(await records.replace(key, newRecord(clock, '{"a":2}'), first))
      assert.equal(await records.replace(key, newRecord(clock, '{"a":3}'), first), 'conflict')
      assert.deepEqual(await records.read(key), {
        record: newRecord(clock, '{"a":2}'),
        version: second,
      })
    },
  ),

  defineCase('B15', "replacing what is gone answers 'missing' and makes nothing", async ({ records, clock }) => {
    const version = await records.write(key, newRecord(clock))
    await records.remove(key)
    assert.equal(await records.replace(key, newRecord(clock), version), 'missing')
    assert.equal(await records.read(key), undefined)
  }),

  defineCase('B16', 'of many who replace one version at once, one succeeds', async ({ records, clock }) => {
    const version = await records.write(key, newRecord(clock))
    const answers = await Promise.all(
      Array.from({ length: 32 }, (_, n) => records.replace(key, newRecord(clock, `{"n":${n}}`), version)),
    )
    const winners = answers.flatMap((answer, n) => (answer === 'conflict' ? [] : [n]))
    assert.equal(winners.length, 1)
    assert.equal((await stored(records, key)).record.data, `{"n":${winners[0]}}`)
  }),

  defineCase('B17', 'a version never comes again, not even after a removal', async ({ records, clock }) => {
    const first = await records.write(key, newRecord(clock))
    await records.remove(key)
    await records.write(key, newRecord(clock))
    assert.equal(await records.replace(key, newRecord(clock, '{"a":2}'), first), 'conflict')
  }),

  defineCase('B18', 'a touch in between is no conflict', async ({ records, clock }) => {
    const record = newRecord(clock)
    const version = await records.write(key, record)
    await records.touch(key, record.expiresAt + 60_000, version)
    replaced(await records.replace(key, { ...record, expiresAt: record.expiresAt + 30_000 }, version))
    assert.equal((await stored(records, key)).record.expiresAt, record.expiresAt + 30_000)
  }),

  defineCase('B19', 'a touch at the same time undoes nothing of a replace', async ({ records, clock }) => {
    const first = newRecord(clock, '{"a":1}')
    const next = newRecord(clock, '{"a":2}', 2 * LIFETIME)
    await forMeetings(async (each, meet) => {
      const version = await records.write(each, first)
      const [newer] = await meet(
        async () => replaced(await records.replace(each, next, version)),
        async () => records.touch(each, first.expiresAt + 1, version),
      )
      assert.deepEqual(await records.read(each), { record: next, version: newer })
    })
  }),

  defineCase('B20', 'a removal at the same time as a touch or a replace holds', async ({ records, clock }) => {
    const record = newRecord(clock)
    const rivals = [
      (each: string, version: Version) => records.touch(each, record.expiresAt + 1, version),
      (each: string, version: Version) => records.replace(each, record, version),
    ]
    for (const rival of rivals) {
      await forMeetings(async (each, meet) => {
        const version = await records.write(each, record)
        const [removed] = await meet(
          async () => records.remove(each),
          async () => rival(each, version),
        )
        assert.equal(removed, true)
        assert.equal(await records.read(each), undefined)
      })
    }
  }),
]
