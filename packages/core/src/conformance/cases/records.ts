import assert from 'node:assert/strict'
import type { SessionRecord } from '../../backend.ts'
import { MAX_EXPIRES_AT } from '../../expiry.ts'
import { defineCase } from '../case.ts'
import { newRecord, storageKey, stored } from '../data.ts'

const key = storageKey()

/** The backend's read, write, touch and remove. */
export const recordCases = [
  defineCase('B1', 'reading a key that is not there answers undefined', async ({ records }) => {
    assert.equal(await records.read(key), undefined)
  }),

  defineCase('B2', 'a record comes back exactly as it was given', async ({ records, clock }) => {
    const odd =
      '{"text":"quote \\" slash \\\\ nul \\u0000 line\\n é 漢 🙂 %s $1 ; --","b":[1.5,null,{}],"a":{"z":1,"a":2}}'
    const given = { ...newRecord(clock, odd), userId: 'user-ü' }
    const version = await records.write(key, given)
    assert.deepEqual(await records.read(key), { record: given, version })
    const withoutUser = newRecord(clock, '{}')
    await records.write(key, withoutUser)
    assert.deepEqual((await stored(records, key)).record, withoutUser)
  }),

  defineCase('B3', 'writing again overwrites all of it', async ({ records, clock }) => {
    const first = await records.write(key, { ...newRecord(clock, '{"a":1}'), userId: 'ada' })
    const next = { ...newRecord(clock, '{"a":2}', 60_000), createdAt: clock.ms - 1 }
    const second = await records.write(key, next)
    assert.notEqual(second, first)
    assert.deepEqual(await records.read(key), { record: next, version: second })
  }),

  defineCase('B4', 'a record of 60 KiB is stored whole', async ({ records, clock }) => {
    const large = newRecord(clock, `{"a":"${'é'.repeat(30 * 1024)}"}`)
    await records.write(key, large)
    assert.deepEqual((await stored(records, key)).record, large)
  }),

  defineCase('B5', 'far-off expiries are kept to the millisecond', async ({ records, clock }) => {
    const days = 24 * 60 * 60_000
    for (const expiresAt of [
      clock.ms + 45 * days + 1,
      Date.UTC(2106, 1, 8),
      Date.UTC(2200, 0, 1) + 7,
      MAX_EXPIRES_AT,
    ]) {
      await records.write(key, { ...newRecord(clock), expiresAt })
      assert.equal((await stored(records, key)).record.expiresAt, expiresAt)
    }
  }),

  defineCase('B6', 'what is stored is a copy, and what is given out is another', async ({ records, clock }) => {
    const spoil = (record: SessionRecord) => Object.assign(record, { data: 'spoilt', expiresAt: 0 })
    const given = newRecord(clock)
    const version = await records.write(key, given)
    spoil(given)
    spoil((await stored(records, key)).record)
    assert.deepEqual((await stored(records, key)).record, newRecord(clock))

    const next = newRecord(clock, '{"a":2}')
    await records.replace(key, next, version)
    spoil(next)
    if (records.isScannable) for await (const { record } of records.scan()) spoil(record)
    assert.deepEqual((await stored(records, key)).record, newRecord(clock, '{"a":2}'))
  }),

  defineCase('B7', 'records under different keys do not touch each other', async ({ records, clock }) => {
    const keys = Array.from({ length: 64 }, (_, n) => storageKey(n))
    await Promise.all(keys.map((each, n) => records.write(each, newRecord(clock, `{"n":${n}}`))))
    await Promise.all(keys.filter((_, n) => n % 2 === 0).map((each) => records.remove(each)))
    const found = await Promise.all(keys.map((each) => records.read(each)))
    assert.deepEqual(
      found.map((each) => each?.record.data),
      keys.map((_, n) => (n % 2 === 0 ? undefined : `{"n":${n}}`)),
    )
  }),

  defineCase('B8', 'touching moves the expiry and leaves data and version', async ({ records, clock }) => {
    const record = { ...newRecord(clock), userId: 'ada' }
    const version = await records.write(key, record)
    const expiresAt = record.expiresAt + 12_345
    assert.equal(await records.touch(key, expiresAt, version, 'ada'), true)
    assert.deepEqual(await records.read(key), { record: { ...record, expiresAt }, version })
  }),

  defineCase('B9', 'touching never moves an expiry back', async ({ records, clock }) => {
    const record = newRecord(clock)
    const version = await records.write(key, record)
    assert.equal(await records.touch(key, record.expiresAt, version), true)
    assert.equal(await records.touch(key, record.expiresAt - 1, version), true)
    assert.equal((await stored(records, key)).record.expiresAt, record.expiresAt)
  }),

  defineCase('B10', 'touching what is gone answers false and makes nothing', async ({ records, clock }) => {
    const version = await records.write(key, newRecord(clock))
    await records.remove(key)
    assert.equal(await records.touch(key, newRecord(clock).expiresAt, version), false)
    assert.equal(await records.read(key), undefined)
  }),

  defineCase('B11', 'touching another version answers false and changes nothing', async ({ records, clock }) => {
    const first = await records.write(key, newRecord(clock))
    const version = await records.write(key, newRecord(clock, '{"a":2}', 60_000))
    assert.equal(await records.touch(key, clock.ms + 300_000, first), false)
    assert.deepEqual(await records.read(key), { record: newRecord(clock, '{"a":2}', 60_000), version })
  }),

  defineCase('B12', 'removing deletes, and answers whether there was anything', async ({ records, clock }) => {
    await records.write(key, newRecord(clock))
    assert.equal(await records.remove(key), true)
    assert.equal(await records.read(key), undefined)
    assert.equal(await records.remove(key), false)
  }),
]
