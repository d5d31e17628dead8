import assert from 'node:assert/strict'
import { defineCase } from '../case.ts'
import { newRecord, storageKey, stored } from '../data.ts'

/** Enough to keep every connection of a pool busy. */
const CALLERS = 32

/** Calls whose answer core did not wait for. A backend that answers at once has none. */
export const givingUpCases = [
  defineCase(
    'B37',
    'reads that are given up neither hold up the others nor mix up their answers',
    async ({ records, clock }) => {
      const keys = Array.from({ length: CALLERS }, (_, n) => storageKey(n))
      const data = keys.map((_, n) => `{"n":${n}}`)
      await Promise.all(keys.map((key, n) => records.write(key, newRecord(clock, data[n]))))
      for (let round = 0; round < 3; round += 1) {
        const impatient = keys.map((key) => unlessGivenUp(records.read(key, soon())))
        const patient = keys.toReversed().map((key) => records.read(key))
        for (const [n, found] of (await Promise.all(impatient)).entries()) {
          if (found !== 'given up') assert.equal(found?.record.data, data[n])
        }
        const answers = (await Promise.all(patient)).map((found) => found?.record.data)
        assert.deepEqual(answers, data.toReversed())
      }
    },
  ),

  defineCase('B38', 'a write that is given up takes effect as a whole or not at all', async ({ records, clock }) => {
    const keys = Array.from({ length: CALLERS }, (_, n) => storageKey(n))
    const [before, after] = [newRecord(clock, '{"a":1}'), { ...newRecord(clock, '{"a":2}', 60_000), userId: 'ada' }]
    const versions = await Promise.all(keys.map((key) => records.write(key, before)))
    await Promise.all(
      keys.map((key, n) =>
        n % 2 === 0
          ? unlessGivenUp(records.write(key, after, soon()))
          : unlessGivenUp(records.replace(key, after, versions[n] as string, soon())),
      ),
    )
    for (const [n, key] of keys.entries()) {
      const { record, version } = await stored(records, key)
      const isBefore = version === versions[n]
      assert.deepEqual(record, isBefore ? before : after)
    }
  }),
]

/** The least time that a call can get. */
export function soon(): { deadline: number } {
  return { deadline: performance.now() + 1 }
}

export async function unlessGivenUp<T>(answer: Promise<T>): Promise<T | 'given up'> {
  try {
    return await answer
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'SESSION_STORE_UNAVAILABLE')
    return 'given up'
  }
}
