import type { Finding } from '../../src/index.ts'
import { type Broken, brokenServer } from './open.ts'

const finding: Finding = { severity: 'advice', what: 'it is slow', why: 'it takes long', how: 'take another' }

/** What can be wrong with what a store says of its server. */
export const brokenChecks: Broken[] = [
  {
    what: 'a backend that warns of a sound server',
    noticedBy: ['B49'],
    ...brokenServer(() => ({ check: () => [{ ...finding, severity: 'warning' }] })),
  },
  {
    what: 'a backend that does not say how to put right what it finds',
    noticedBy: ['B49'],
    ...brokenServer(() => ({ check: () => [{ ...finding, how: '' }] })),
  },
  {
    what: 'a backend that finds a session worth quoting',
    noticedBy: ['B49'],
    ...brokenServer(({ scan }) => ({
      check: () => scan().records.map(({ record }) => ({ ...finding, what: `there is ${record.data}` })),
    })),
  },
]
