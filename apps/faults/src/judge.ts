import type { Expectation } from './expectation.ts'
import type { Figures } from './figures.ts'

/** How much more of its own an application may have after a fault than before. */
const LEAKED_SOCKETS = 2
const LEAKED_TIMERS = 2
const LEAKED_BYTES = 16 * 2 ** 20
/** How long an application may take to end, in ms. */
const LONGEST_END = 5000

/** What is wrong, in words; nothing when all is as it should be. */
export function judge(figures: Figures, expected: Expectation): string[] {
  const { refuses, wrongClock } = expected
  const changes = figures.refused - figures.refusedReads
  const rules: Array<[wrong: boolean, words: string]> = [
    [figures.refusedBefore > 0, `${figures.refusedBefore} requests got 503 before the fault`],
    [refuses === 'nothing' && figures.refused > 0, `${figures.refused} requests got 503, none should`],
    [refuses === 'changes' && figures.refusedReads > 0, `${figures.refusedReads} reads got 503, only changes should`],
    [refuses === 'changes' && changes === 0, 'no change got 503: the fault did nothing'],
    [refuses === 'some' && figures.refused === 0, 'no request got 503: the fault did nothing'],
    ...Object.entries(figures.otherStatuses).map(([status, count]): [boolean, string] => [
      true,
      status === '0' ? `${count} requests got no answer` : `${count} requests got ${status}`,
    ]),
    tooLong('the longest wait', figures.longestWait, expected.longestWait),
    tooLong('a wait in vain in an outage that is known', figures.knownOutageWait ?? 0, expected.knownOutageWait),
    tooLong('from the return to the first success', figures.firstAfter, expected.firstWithin),
    tooLong('from the return to the last failure', figures.allAfter, expected.allWithin),
    [figures.lostChanges > 0, `${figures.lostChanges} acknowledged changes lost`],
    [figures.undoneLogOuts > 0, `${figures.undoneLogOuts} acknowledged log-outs undone`],
    [figures.lostSessions > 0, `${figures.lostSessions} sessions lost`],
    [!wrongClock && figures.wrong401s > 0, `${figures.wrong401s} times 401 for a session that was there`],
    [figures.wrongAnswers.length > 0, `wrong answers: ${some(figures.wrongAnswers)}`],
    tooLong('the event loop stood still', figures.loopStall, expected.loopStall),
    [(figures.conflicts ?? 0) > 0, `${figures.conflicts} saves of a session’s only writer met another one`],
    [figures.moreSockets > LEAKED_SOCKETS, `${figures.moreSockets} sockets more than before`],
    [figures.moreTimers > LEAKED_TIMERS, `${figures.moreTimers} timers more than before`],
    [figures.moreMemory > LEAKED_BYTES, `${Math.round(figures.moreMemory / 2 ** 20)} MiB more than before`],
    [figures.warnings.length > 0, `warnings: ${some(figures.warnings)}`],
    [figures.crashes.length > 0, `crashes: ${some(figures.crashes)}`],
    tooLong('an application took to end', figures.longestEnd, LONGEST_END),
    [figures.leaks > 0, `${figures.leaks} times a session id or session data in logs or errors`],
  ]
  return rules.filter(([wrong]) => wrong).map(([, words]) => words)
}

function tooLong(what: string, ms: number, limit: number): [boolean, string] {
  return [ms > limit, `${what}: ${Math.round(ms)} ms, at most ${limit}`]
}

function some(lines: string[]): string {
  return `${lines.slice(0, 3).join('; ')}${lines.length > 3 ? `; and ${lines.length - 3} more` : ''}`
}
