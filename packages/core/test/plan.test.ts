import { describe, expect, test } from 'vitest'
import { type Plan, planSave } from '../src/plan.ts'

// All times in ms after the present, which is 0.
const NOW = 0
const TOUCH_INTERVAL = 100

const skip: Plan = { do: 'skip' }
const end: Plan = { do: 'end' }
const touch = (expiresAt: number): Plan => ({ do: 'touch', expiresAt })
const write = (expiresAt: number): Plan => ({ do: 'write', expiresAt })

interface Row {
  what: string
  /** The expiry that the request asked for so far, and the one that is stored now; none for a new session. */
  asked?: number
  stored?: number
  /** The expiry that the application asks for now. */
  ours: number
  changed?: boolean
  rolling?: boolean
  plan: Plan
}

const table: Row[] = [
  { what: 'a new session', ours: 1000, plan: write(1000) },
  { what: 'a new session whose expiry has passed', ours: 0, plan: end },
  { what: 'nothing changed', asked: 1000, stored: 1000, ours: 1000, plan: skip },
  { what: 'the expiry moves on by too little', asked: 1000, stored: 1000, ours: 1099, plan: skip },
  { what: 'the expiry moves on by enough', asked: 1000, stored: 1000, ours: 1100, plan: touch(1100) },
  { what: 'another request has moved it on already', asked: 1000, stored: 1150, ours: 1200, plan: skip },
  { what: 'an expiry moved on by hand', asked: 1000, stored: 1000, ours: 1100, rolling: false, plan: write(1100) },
  { what: 'changed data', asked: 1000, stored: 1000, ours: 1000, changed: true, plan: write(1000) },
  {
    what: 'changed data, expiry on by little',
    asked: 1000,
    stored: 1000,
    ours: 1001,
    changed: true,
    plan: write(1001),
  },
  {
    what: 'changed data, others prolonged it',
    asked: 1000,
    stored: 1500,
    ours: 1200,
    changed: true,
    plan: write(1500),
  },
  { what: 'an earlier end is asked for', asked: 1000, stored: 1000, ours: 500, plan: write(500) },
  { what: 'an earlier end, others prolonged it', asked: 1000, stored: 1500, ours: 500, plan: write(500) },
  { what: 'others asked for an earlier end', asked: 1000, stored: 500, ours: 1200, plan: skip },
  {
    what: 'others asked for an earlier end, data changed',
    asked: 1000,
    stored: 500,
    ours: 1200,
    changed: true,
    plan: write(500),
  },
  { what: 'both asked for an earlier end, ours sooner', asked: 1000, stored: 500, ours: 400, plan: write(400) },
  { what: 'both asked for an earlier end, theirs sooner', asked: 1000, stored: 400, ours: 500, plan: skip },
  { what: 'an end in the past is asked for', asked: 1000, stored: 1000, ours: -1, plan: end },
  { what: 'an end now is asked for', asked: 1000, stored: 1000, ours: 0, changed: true, plan: end },
]

describe('what a save does', () => {
  for (const { what, asked, stored, ours, changed = false, rolling = true, plan } of table) {
    test(`${what}: ${plan.do}`, () => {
      const loaded = asked === undefined ? undefined : { asked }
      const record = stored === undefined ? undefined : { expiresAt: stored }
      expect(planSave(loaded, record, { expiresAt: ours, changed, rolling }, NOW, TOUCH_INTERVAL)).toEqual(plan)
    })
  }
})
