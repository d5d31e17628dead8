import assert from 'node:assert/strict'
import { defineCase, type Scene } from '../case.ts'
import { LIFETIME, MANY, newRecord, replaced, storageKey, stored, writeMany } from '../data.ts'
import { losingAnswers } from '../layers.ts'
import { Records } from '../records.ts'

const key = storageKey()

/** Calls that took effect, whose answer was lost, and which were therefore sent again. */
export const replayCases = [
  defineCase('B28', 'a write that is sent again does the same again', async (scene) => {
    const { records, clock } = scene
    for (const record of [newRecord(clock), { ...newRecord(clock, '{"a":2}'), userId: 'ada' }]) {
      const version = await withLostAnswers(scene).write(key, record)
      assert.deepEqual(await records.read(key), { record, version })
    }
  }),

  defineCase('B29', "a replace that is sent again answers 'replaced'", async (scene) => {
    const { records, clock } = scene
    const first = await records.write(key, newRecord(clock))
    const record = newRecord(clock, '{"a":2}', 2 * LIFETIME)
    const version = replaced(await withLostAnswers(scene).replace(key, record, first))
    assert.deepEqual(await records.read(key), { record, version })
  }),

  defineCase('B30', 'a replace that is sent again undoes nothing that was done in between', async (scene) => {
    const { records, clock } = scene
    const next = newRecord(clock, '{"a":2}')
    const theirs = newRecord(clock, '{"a":3}')
    const replaceWhile = async (meanwhile: () => Promise<unknown>) => {
      const version = await records.write(key, newRecord(clock))
      return withLostAnswers(scene, meanwhile).replace(key, next, version)
    }
    const current = async () => (await stored(records, key)).version

    const expiresAt = next.expiresAt + 60_000
    const version = replaced(await replaceWhile(async () => records.touch(key, expiresAt, await current())))
    assert.deepEqual(await records.read(key), { record: { ...next, expiresAt }, version }, 'a touch')

    assert.equal(await replaceWhile(async () => records.replace(key, theirs, await current())), 'conflict')
    assert.deepEqual((await stored(records, key)).record, theirs, 'a replace')

    assert.equal(await replaceWhile(() => records.remove(key)), 'missing')
    assert.equal(await records.read(key), undefined, 'a removal')
  }),

  defineCase(
    'B31',
    'a touch that is sent again answers true, unless the record was replaced or removed',
    async (scene) => {
      const { records, clock } = scene
      const record = newRecord(clock)
      const theirs = newRecord(clock, '{"a":2}', 60_000)
      const expiresAt = record.expiresAt + 60_000
      const version = await records.write(key, record)
      assert.equal(await withLostAnswers(scene).touch(key, expiresAt, version), true)
      assert.deepEqual(await records.read(key), { record: { ...record, expiresAt }, version })

      const replace = () => records.replace(key, theirs, version)
      assert.equal(await withLostAnswers(scene, replace).touch(key, expiresAt, version), false)
      const { version: newer, record: after } = await stored(records, key)
      assert.deepEqual(after, theirs)

      const remove = () => records.remove(key)
      assert.equal(await withLostAnswers(scene, remove).touch(key, expiresAt, newer), false)
      assert.equal(await records.read(key), undefined)
    },
  ),

  defineCase('B32', 'a removal that is sent again is no error, and the record is gone', async (scene) => {
    const { records, clock } = scene
    await records.write(key, newRecord(clock))
    await withLostAnswers(scene).remove(key)
    assert.equal(await records.read(key), undefined)
  }),

  defineCase(
    'B33',
    'counting in batches that are each sent again counts every record once',
    async (scene) => {
      await writeMany(scene.records, scene.clock)
      assert.equal(await withLostAnswers(scene).count({}), MANY)
    },
    { needs: ['count'] },
  ),

  defineCase(
    'B34',
    'a scan in batches that are each sent again sees every record',
    async (scene) => {
      await writeMany(scene.records, scene.clock)
      const seen = new Set<string>()
      for await (const { key } of withLostAnswers(scene).scan()) seen.add(key)
      assert.equal(seen.size, MANY)
    },
    { needs: ['scan'] },
  ),

  defineCase(
    'B35',
    'pruning in batches that are each sent again deletes all that has expired, and no more',
    async (scene) => {
      const { records, clock } = scene
      await writeMany(records, clock, 0)
      await records.write(key, newRecord(clock))
      await withLostAnswers(scene).prune({ expiresAt: clock.ms })
      assert.ok(await records.read(key))
      for (let n = 1; n < MANY; n += 1) assert.equal(await records.read(storageKey(n)), undefined)
    },
    { needs: ['prune'] },
  ),

  defineCase(
    'B36',
    'clearing in batches that are each sent again deletes everything',
    async (scene) => {
      await writeMany(scene.records, scene.clock)
      await withLostAnswers(scene).clear()
      for (let n = 0; n < MANY; n += 1) assert.equal(await scene.records.read(storageKey(n)), undefined)
    },
    { needs: ['clear'] },
  ),
]

/** The same records, over a connection on which the first answer to each call is lost. */
function withLostAnswers({ openOver }: Scene, meanwhile?: () => Promise<unknown>): Records {
  return new Records(openOver(losingAnswers(meanwhile)))
}
