import assert from 'node:assert/strict'
import { defineCase } from '../case.ts'
import { newRecord, replaced, storageKey, stored } from '../data.ts'

const MANY = 150
const keys = Array.from({ length: MANY }, (_, n) => storageKey(n))

/** Many calls in one turn of the event loop, which core may hand to the backend as one command. */
export const batchCases = [
  defineCase('B39', 'of many calls at once each has its own answer', async ({ records, clock }) => {
    const record = (n: number) => newRecord(clock, `{"n":${n}}`)
    const versions = await Promise.all(keys.map((key, n) => records.write(key, record(n))))
    // A third each is replaced, touched and removed, and of these every other call at a version that is not there.
    const answers = await Promise.all(
      keys.map((key, n) => {
        const expected = n % 2 === 0 ? (versions[n] as string) : (versions[(n + 1) % MANY] as string)
        if (n % 3 === 0) return records.replace(key, record(n + MANY), expected)
        return n % 3 === 1 ? records.touch(key, record(n).expiresAt + 1000, expected) : records.remove(key)
      }),
    )
    const found = await Promise.all(keys.map((key) => records.read(key)))
    for (const [n, answer] of answers.entries()) {
      const isCurrent = n % 2 === 0
      if (n % 3 === 0) {
        assert.equal(answer === 'conflict', !isCurrent, `replace ${n}`)
        assert.deepEqual(found[n]?.record, record(isCurrent ? n + MANY : n))
      } else if (n % 3 === 1) {
        assert.equal(answer, isCurrent, `touch ${n}`)
        assert.equal(found[n]?.record.expiresAt, record(n).expiresAt + (isCurrent ? 1000 : 0))
      } else {
        assert.equal(answer, true, `remove ${n}`)
        assert.equal(found[n], undefined)
      }
    }
  }),

  defineCase('B40', 'the same key several times among many calls is answered each time', async ({ records, clock }) => {
    const key = storageKey()
    // Two at once, or the first of the next ones would go by itself.
    const [version] = (await Promise.all(
      [key, storageKey(2)].map((each) => records.write(each, newRecord(clock, '{"n":-1}'))),
    )) as [string, string]
    const found = await Promise.all([key, storageKey(1), key].map((each) => records.read(each)))
    assert.deepEqual(
      found.map((each) => each?.version),
      [version, undefined, version],
    )
    const answers = await Promise.all(
      [0, 1, 2].map((n) => records.replace(key, newRecord(clock, `{"n":${n}}`), version)),
    )
    const winners = answers.flatMap((answer, n) => (answer === 'conflict' ? [] : [n]))
    assert.equal(winners.length, 1)
    assert.equal((await stored(records, key)).record.data, `{"n":${winners[0]}}`)
    replaced(answers[winners[0] as number] as string)
  }),

  defineCase('B41', 'many large records at once are stored whole', async ({ records, clock }) => {
    const large = (n: number) => newRecord(clock, `{"n":${n},"text":"${'é'.repeat(25 * 1024)}"}`)
    const some = keys.slice(0, 20)
    await Promise.all(some.map((key, n) => records.write(key, large(n))))
    const found = await Promise.all(some.map((key) => records.read(key)))
    assert.deepEqual(
      found.map((each) => each?.record),
      some.map((_, n) => large(n)),
    )
  }),
]
