import { setTimeout as sleep } from 'node:timers/promises'
import { CANARY } from './app/canary.ts'
import type { AppReport } from './app/config.ts'
import { AppProcess } from './app-process.ts'
import { type Expectation, usual } from './expectation.ts'
import type { Fault, Subject } from './fault.ts'
import { countsOf, type Figures, growthOf, leaksIn, lossesOf, type Times, timesOf } from './figures.ts'
import { Heartbeat } from './heartbeat.ts'
import { judge } from './judge.ts'
import { Load, usualLoad } from './load/load.ts'

/** How long the load runs before there is any fault, in ms. */
const WARM_UP = 1000
/** So many reads at once make every driver open all the connections that it may. */
const BURST = 100
/** How long an application may take to get rid of what a fault left it with, in ms. */
const LONGEST_CLEAN_UP = 5000

export interface Result {
  figures: Figures
  /** What is wrong, in words; nothing when all is as it should be. */
  wrong: string[]
}

/** Starts a server and two applications, has a load run on them, does the fault, and judges what was seen. */
export async function runCell<Extra, Setup>(
  subject: Subject<Extra, Setup>,
  fault: Fault<Extra, Setup>,
): Promise<Result> {
  const stage = await subject.start(fault.setup ?? ({} as Setup))
  const { options = {}, bytes = 0, onlyWriter = false } = fault
  const { opener, settings } = stage
  const config = { opener, settings, options, bytes, countConflicts: onlyWriter, port: 0 }
  const apps = [new AppProcess(config), new AppProcess(config)] as const
  const heartbeat = new Heartbeat()
  const load = new Load(apps, { ...usualLoad, ...fault.load, ...(onlyWriter && { overlaps: false }) }, heartbeat)
  const report = () => Promise.all(apps.map((app) => app.ask('report', null)))
  try {
    for (const app of apps) await app.start()
    const before = await warmUp(load, report)

    const times: Times = { begun: 0, returned: 0, forgot: 0 }
    const forgot = () => {
      times.forgot = performance.now()
    }
    load.start()
    await sleep(WARM_UP / 4)
    times.begun = performance.now()
    await fault.run({ ...stage, apps, load, forgot })
    times.returned = performance.now()
    times.forgot ||= times.returned
    await load.recovered()
    await load.pause()

    const loopStall = Math.max(...(await report()).map((each) => each.loopStall))
    await load.check()
    const after = await cleanedUp(load, before, report)
    await Promise.all(apps.map((app) => app.end()))
    const expected: Expectation = { ...usual, ...fault.expect }
    const figures: Figures = {
      ...countsOf(load.ledger.samples, times),
      ...timesOf(load.ledger.samples, times),
      ...lossesOf(load.ledger, times, expected.server),
      ...growthOf(before, after),
      wrongAnswers: load.ledger.wrongAnswers,
      loopStall,
      conflicts: onlyWriter ? after.reduce((sum, { conflicts }) => sum + conflicts, 0) : undefined,
      warnings: apps.flatMap((app) => app.warnings),
      crashes: apps.flatMap((app) => app.crashes),
      longestEnd: Math.max(...apps.flatMap((app) => app.ends)),
      leaks: leaksIn(apps.map((app) => app.output).join('\n'), load.ledger.ids, CANARY) + load.ledger.leaks.length,
    }
    return { figures, wrong: judge(figures, expected) }
  } finally {
    load.stop()
    await Promise.all(apps.map((app) => app.kill()))
    await load.pause()
    heartbeat.stop()
    await stage.stop()
  }
}

/** Answers what the applications have while all is well, and nothing is asked of them. */
async function warmUp(load: Load, report: () => Promise<AppReport[]>): Promise<AppReport[]> {
  await load.logIn()
  await load.burst(BURST)
  load.start()
  await sleep(WARM_UP)
  await load.pause()
  // The browsers' connections go a moment after
  for (let last = await report(); ; ) {
    await sleep(150)
    const next = await report()
    if (growthOf(last, next).moreSockets >= 0) return next
    last = next
  }
}

/** Answers what the applications have once nothing is left of the fault, or when that takes too long. */
async function cleanedUp(load: Load, before: AppReport[], report: () => Promise<AppReport[]>): Promise<AppReport[]> {
  await load.pause()
  const deadline = performance.now() + LONGEST_CLEAN_UP
  for (;;) {
    const after = await report()
    const { moreSockets, moreTimers } = growthOf(before, after)
    if ((moreSockets <= 0 && moreTimers <= 0) || performance.now() > deadline) return after
    await sleep(100)
  }
}
