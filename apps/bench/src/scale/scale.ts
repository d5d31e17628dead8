import type { OpenStore, Store } from '../contestants/contestant.ts'
import { Cookie, sessionId, sessionOf } from '../contestants/session.ts'
import { Calls } from '../operations/calls.ts'

const HOUR = 60 * 60_000
const BYTES = 300
/** How many ids are made before the clock starts. */
const IDS = 20_000

export interface FillJob {
  /** The first session, and the one after the last. */
  from: number
  to: number
  /** Whether they ended so long ago that everybody agrees: by the machine's clock, and after every margin. */
  expired: boolean
}

/** Stores sessions through the store itself, many at a time. */
export async function fill({ store, moveClock }: OpenStore, { from, to, expired }: FillJob): Promise<void> {
  const template = sessionOf(BYTES)
  const past = expired ? 24 * HOUR : 0
  moveClock?.(-past)
  let next = from
  await new Calls().run(
    256,
    () => next < to,
    (_, done) => {
      const cookie = new Cookie(8 * HOUR - past)
      store.set(sessionId(next++), { ...template, cookie }, done)
    },
  )
  moveClock?.(0)
}

export interface ReadJob {
  /** How many sessions there are. */
  sessions: number
  callers: number
  ms: number
}

export interface ReadFigures {
  perSecond: number
  /** In µs. */
  p50: number
  p99: number
}

/** Reads sessions at random. */
export function readAmong(store: Store, { sessions, callers, ms }: ReadJob): Promise<ReadFigures> {
  let end: number | undefined
  return readWhile(store, sessions, callers, (now) => {
    end ??= now + ms
    return now < end
  })
}

/** Reads for as long as the store needs to prune. */
export async function pruneUnderLoad(open: OpenStore, { sessions, callers }: Omit<ReadJob, 'ms'>) {
  const begun = performance.now()
  let ended = false
  const pruning = open.prune?.().finally(() => {
    ended = true
  })
  const during = await readWhile(open.store, sessions, callers, () => !ended)
  await pruning
  return { seconds: (performance.now() - begun) / 1000, during }
}

async function readWhile(
  store: Store,
  sessions: number,
  callers: number,
  goOn: (now: number) => boolean,
): Promise<ReadFigures> {
  const ids = Array.from({ length: IDS }, () => sessionId(Math.floor(Math.random() * sessions)))
  globalThis.gc?.()
  const calls = new Calls()
  let n = 0
  await calls.run(callers, goOn, (_, done) => {
    n += 1
    store.get(ids[n % IDS] as string, (error, session) =>
      done(error ?? (session ? undefined : new Error('a stored session was not found'))),
    )
  })
  return {
    perSecond: calls.count / (calls.duration / 1000),
    p50: calls.percentile(0.5),
    p99: calls.percentile(0.99),
  }
}

/** What this process keeps in memory once its garbage is collected, in bytes. */
export function memoryInUse(): number {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
