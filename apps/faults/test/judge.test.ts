import { expect, test } from 'vitest'
import { type Expectation, usual } from '../src/expectation.ts'
import type { Figures } from '../src/figures.ts'
import { judge } from '../src/judge.ts'

/** What is seen where all is as it should be. */
const good: Figures = {
  requests: 1000,
  refused: 100,
  refusedReads: 60,
  refusedBefore: 0,
  otherStatuses: {},
  longestWait: 2040,
  knownOutageWait: 250,
  firstAfter: 20,
  allAfter: 10,
  lostChanges: 0,
  undoneLogOuts: 0,
  wrong401s: 0,
  lostSessions: 0,
  lostByServer: 0,
  wrongAnswers: [],
  loopStall: 30,
  conflicts: 0,
  moreSockets: 0,
  moreTimers: 0,
  moreMemory: 500_000,
  warnings: [],
  crashes: [],
  longestEnd: 100,
  leaks: 0,
}

test('nothing is wrong where all is as it should be', () => {
  expect(judge(good, usual)).toEqual([])
  expect(
    judge({ ...good, refused: 0, refusedReads: 0, knownOutageWait: undefined }, { ...usual, refuses: 'nothing' }),
  ).toEqual([])
})

const bad: Array<[what: string, seen: Partial<Figures>, expected?: Partial<Expectation>]> = [
  ['3 requests got 503 before the fault', { refusedBefore: 3 }],
  ['100 requests got 503, none should', {}, { refuses: 'nothing' }],
  ['60 reads got 503, only changes should', {}, { refuses: 'changes' }],
  ['no change got 503: the fault did nothing', { refused: 0, refusedReads: 0 }, { refuses: 'changes' }],
  ['no request got 503: the fault did nothing', { refused: 0, refusedReads: 0 }],
  ['2 requests got 500', { otherStatuses: { 500: 2 } }],
  ['1 requests got no answer', { otherStatuses: { 0: 1 } }],
  ['the longest wait: 3900 ms, at most 2600', { longestWait: 3900 }],
  ['a wait in vain in an outage that is known: 2000 ms, at most 1000', { knownOutageWait: 2000 }],
  ['from the return to the first success: 17000 ms, at most 1500', { firstAfter: 17_000 }],
  ['from the return to the last failure: 17000 ms, at most 3500', { allAfter: 17_000 }],
  ['1 acknowledged changes lost', { lostChanges: 1 }],
  ['1 acknowledged log-outs undone', { undoneLogOuts: 1 }],
  ['1 sessions lost', { lostSessions: 1 }],
  ['1 times 401 for a session that was there', { wrong401s: 1 }],
  ['wrong answers: a new session id with the status 503', { wrongAnswers: ['a new session id with the status 503'] }],
  ['the event loop stood still: 5200 ms, at most 1000', { loopStall: 5200 }],
  ['1 saves of a session’s only writer met another one', { conflicts: 1 }],
  ['3 sockets more than before', { moreSockets: 3 }],
  ['3 timers more than before', { moreTimers: 3 }],
  ['40 MiB more than before', { moreMemory: 40 * 2 ** 20 }],
  ['warnings: a; b; c; and 1 more', { warnings: ['a', 'b', 'c', 'd'] }],
  ['crashes: it ended with 1', { crashes: ['it ended with 1'] }],
  ['an application took to end: 10000 ms, at most 5000', { longestEnd: 10_000 }],
  ['1 times a session id or session data in logs or errors', { leaks: 1 }],
]

for (const [what, seen, expected] of bad) {
  test(`seen: ${what}`, () => {
    expect(judge({ ...good, ...seen }, { ...usual, ...expected })).toEqual([what])
  })
}

test('a wrong clock excuses 401s, but no session that is gone', () => {
  const expected = { ...usual, wrongClock: true }
  expect(judge({ ...good, wrong401s: 9 }, expected)).toEqual([])
  expect(judge({ ...good, wrong401s: 9, lostSessions: 1 }, expected)).toEqual(['1 sessions lost'])
})
