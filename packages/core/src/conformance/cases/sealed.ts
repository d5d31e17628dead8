import assert from 'node:assert/strict'
import { keyOf } from '../../key.ts'
import { newVersion } from '../../version.ts'
import { defineCase } from '../case.ts'
import { dataOf, load, newSession, stored } from '../data.ts'

const [oldKey, newKey] = ['01'.repeat(32), '02'.repeat(32)]
const SECRET = 'what nobody may read'

/** What `encryptionKeys` promises on every server. */
export const sealedCases = [
  defineCase(
    'S55',
    'sealed data is not at rest, an unchanged session costs no write, and changes are merged',
    async ({ store, other, records, clock }) => {
      await store.set('id', newSession(clock, { secret: SECRET }))
      const before = await stored(records, keyOf('id'))
      assert.doesNotMatch(before.record.data, /nobody|secret/)
      const [a, b] = [await load(store, 'id', clock), await load(other, 'id', clock)]
      await store.set('id', a)
      assert.deepEqual(await stored(records, keyOf('id')), before)
      await other.set('id', { ...b, b: 1 })
      await store.set('id', { ...a, a: 1 })
      assert.deepEqual(await dataOf(other, 'id'), { secret: SECRET, a: 1, b: 1 })
    },
    { options: { encryptionKeys: [oldKey] } },
  ),

  defineCase(
    'S56',
    'sealed data that was changed, moved to another session or planted is no session, and is kept',
    async ({ store, records, clock }) => {
      await store.set('mine', newSession(clock, { user: 'eve' }))
      await store.set('admin', newSession(clock, { user: 'admin' }))
      const { record } = await stored(records, keyOf('mine'))
      const admin = await stored(records, keyOf('admin'))
      const at = record.data.lastIndexOf('.') + 24
      const changed = record.data.slice(0, at) + (record.data[at] === 'A' ? 'B' : 'A') + record.data.slice(at + 1)
      for (const data of [changed, admin.record.data, '{"user":"admin"}']) {
        await store.backend.write(keyOf('mine'), { ...record, data }, newVersion())
        assert.equal(await store.get('mine'), null)
        assert.equal((await stored(records, keyOf('mine'))).record.data, data)
      }
    },
    { options: { encryptionKeys: [oldKey] } },
  ),

  defineCase(
    'S57',
    'keys change while two processes with different newest keys share a session',
    async ({ open, clock }) => {
      const one = await open({ options: { encryptionKeys: [newKey, oldKey] } })
      const two = await open({ options: { encryptionKeys: [oldKey, newKey] } })
      await one.set('id', newSession(clock))
      for (let round = 0; round < 4; round += 1) {
        const [a, b] = [await load(one, 'id', clock), await load(two, 'id', clock)]
        await Promise.all([one.set('id', { ...a, [`a${round}`]: 1 }), two.set('id', { ...b, [`b${round}`]: 1 })])
      }
      assert.equal(Object.keys((await dataOf(one, 'id')) ?? {}).length, 8)
      await one.set('id', { ...(await load(one, 'id', clock)), last: 1 })
      const newOnly = await open({ options: { encryptionKeys: [newKey] } })
      assert.equal((await dataOf(newOnly, 'id'))?.last, 1, 'sealed by the newest key at the next write')
    },
  ),
]
