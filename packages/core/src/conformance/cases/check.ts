import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { keyOf } from '../../key.ts'
import { defineCase } from '../case.ts'
import { newSession } from '../data.ts'

/** What a store says of its server. */
export const checkCases = [
  defineCase(
    'B49',
    'a check of a sound server has nothing worse than advice, and says what, why and how',
    async ({ store, clock }) => {
      const id = 'Qk_XT2K7-clT-x1tVvoY6tIQ83iP72KN'
      await store.set(id, newSession(clock, { password: 'hunter2' }))
      const findings = await store.check()
      for (const { severity, ...texts } of findings) {
        assert.equal(severity, 'advice', inspect(texts))
        assert.deepEqual(Object.keys(texts).sort(), ['how', 'what', 'why'])
        for (const text of Object.values(texts)) assert.match(text, /^\S.*[^\s.]$/, 'a sentence without a full stop')
      }
      const shown = JSON.stringify(findings)
      for (const secret of [id, keyOf(id), 'hunter2']) assert.ok(!shown.includes(secret), 'no id, no data')
      assert.ok(await store.get(id), 'it changes nothing')
    },
    { needs: ['check'] },
  ),
]
