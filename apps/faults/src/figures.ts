import type { AppReport } from './app/config.ts'
import type { Kind, Ledger, Loss, Sample } from './load/ledger.ts'

/** What was measured in one cell. Durations in ms; counts where nothing else is said. */
export interface Figures {
  requests: number
  /** Answered with 503. */
  refused: number
  /** Of those, the requests that only read. */
  refusedReads: number
  /** 503 before there was any fault. */
  refusedBefore: number
  /** Answers that are neither 2xx, 401 nor 503, by their status; 0 is a connection that broke, or no answer within 20 s. */
  otherStatuses: Record<string, number>
  /** Since the fault began, without the time in which the machine stood still. */
  longestWait: number
  /** The median wait in vain while the outage was known, of the kind of request that waits longest; undefined where few do. */
  knownOutageWait: number | undefined
  firstAfter: number
  allAfter: number
  lostChanges: number
  undoneLogOuts: number
  wrong401s: number
  lostSessions: number
  /** Lost sessions, lost changes and undone log-outs that are the server's own. */
  lostByServer: number
  wrongAnswers: string[]
  /** The longest that an application's event loop stood still, waits for a processor apart. */
  loopStall: number
  /** How often the only writer of a session was told of another one; undefined where that was not counted. */
  conflicts: number | undefined
  /** What an application has more than before the fault, when all is quiet again. */
  moreSockets: number
  moreTimers: number
  moreMemory: number
  warnings: string[]
  crashes: string[]
  /** The longest that an application took to end. */
  longestEnd: number
  /** Session ids and session data in logs and in the bodies of errors. */
  leaks: number
}

/** When what happened, on the clock of `performance.now()`. */
export interface Times {
  begun: number
  /** When the fault was undone. */
  returned: number
  /** What was acknowledged before may be lost by a server that forgets or goes back. */
  forgot: number
}

/** After so many ms an outage is known: somebody has waited for the whole deadline. */
const KNOWN_AFTER = 2600
/** Who came so many ms before the end of an outage should have been refused before it. */
const TIME_TO_REFUSE = 1000
/** Of fewer requests a median says nothing. */
const FEWEST = 5

export function timesOf(samples: Sample[], { begun, returned }: Times) {
  const failed = samples.filter(({ status }) => status !== 200 && status !== 401)
  const served = samples.filter(({ status }) => status === 200)
  const whileKnown = samples.filter(
    (each) => each.begun > begun + KNOWN_AFTER && each.begun < returned - TIME_TO_REFUSE,
  )
  const inVain = whileKnown.filter(({ status, ended }) => status === 503 || ended > returned)
  const firstServed = served.find(({ ended }) => ended >= returned)?.ended ?? Number.POSITIVE_INFINITY
  const lastFailed = Math.max(returned, ...failed.map(({ ended }) => ended))
  return {
    longestWait: Math.max(...samples.filter(({ ended }) => ended > begun).map(({ wait }) => wait)),
    knownOutageWait: worstMedian(inVain),
    firstAfter: firstServed - returned,
    allAfter: lastFailed - returned,
  }
}

export function countsOf(samples: Sample[], { begun }: Times) {
  const refused = samples.filter(({ status }) => status === 503)
  const otherStatuses: Record<string, number> = {}
  for (const { status, appEnded } of samples) {
    if (![200, 401, 503].includes(status) && !appEnded) otherStatuses[status] = (otherStatuses[status] ?? 0) + 1
  }
  return {
    requests: samples.length,
    refused: refused.length,
    refusedReads: refused.filter(({ kind }) => kind === 'read').length,
    refusedBefore: refused.filter(({ ended }) => ended < begun).length,
    otherStatuses,
  }
}

/** Tells what was lost from what the server lost by itself. */
export function lossesOf(ledger: Ledger, { forgot }: Times, server: 'keeps' | 'forgets' | 'goes back') {
  const isServers = ({ since }: Loss) => server !== 'keeps' && since <= forgot
  const goneBack = (loss: Loss) => server === 'goes back' && isServers(loss)
  const { lostChanges, undoneLogOuts, wrong401s, lostSessions } = ledger
  const without = (losses: Loss[], servers: (loss: Loss) => boolean) => losses.filter((loss) => !servers(loss)).length
  const ours = {
    lostChanges: without(lostChanges, goneBack),
    undoneLogOuts: without(undoneLogOuts, goneBack),
    lostSessions: without(lostSessions, isServers),
  }
  const all = lostChanges.length + undoneLogOuts.length + lostSessions.length
  const lostByServer = all - ours.lostChanges - ours.undoneLogOuts - ours.lostSessions
  return { ...ours, wrong401s: without(wrong401s, isServers), lostByServer }
}

/** What each application has more than before, at the most. */
export function growthOf(before: AppReport[], after: AppReport[]) {
  const growth = (what: 'sockets' | 'timers' | 'memory') =>
    Math.max(...after.map((report, n) => report[what] - (before[n]?.[what] ?? 0)))
  return { moreSockets: growth('sockets'), moreTimers: growth('timers'), moreMemory: growth('memory') }
}

/** How many of the ids stand in what the applications printed, and pieces of session data. */
export function leaksIn(output: string, ids: ReadonlySet<string>, canary: string): number {
  const ID_LENGTH = 32
  let found = output.split(canary).length - 1
  for (const [word] of output.matchAll(/[\w-]{32,}/g)) {
    for (let at = 0; at + ID_LENGTH <= word.length; at += 1) {
      if (ids.has(word.slice(at, at + ID_LENGTH))) found += 1
    }
  }
  return found
}

function worstMedian(samples: Sample[]): number | undefined {
  const medians = (['read', 'change', 'log in', 'log out'] satisfies Kind[])
    .map((kind) => samples.filter((sample) => sample.kind === kind).map(({ wait }) => wait))
    .filter((waits) => waits.length >= FEWEST)
    .map((waits) => waits.sort((a, b) => a - b)[Math.floor(waits.length / 2)] ?? 0)
  return medians.length === 0 ? undefined : Math.max(...medians)
}
