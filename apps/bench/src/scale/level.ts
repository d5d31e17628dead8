import { type Bench, type Entry, type Runner, startRunner, type Whose, whose } from '../bench.ts'
import { startApplication } from '../processes/application.ts'
import { startServers, stopServers } from '../servers/index.ts'
import type { ReadFigures } from './scale.ts'

/** One store with so many sessions in it. */
export interface ScaleRow extends Whose {
  sessions: number
  /** How many sessions a second it took while it was filled. */
  filledPerSecond: number
  lone: ReadFigures
  busy: ReadFigures
  /** What a session needs in all, in bytes: in the server, on the disk or in this process. */
  bytesPerSession: number
}

/** One store that prunes while it is read from. */
export interface PruneRow extends Whose {
  /** How many are live, and how many expired. */
  live: number
  expired: number
  /** How many processes prune at once. */
  processes: number
  seconds: number
  before: ReadFigures
  during: ReadFigures
}

export interface ScaleResults {
  sizes: ScaleRow[]
  prunes: PruneRow[]
}

const CALLERS = 64
/** With how many live sessions a store is pruned. */
const PRUNED = 1_000_000
/** A peer for each kind: to fill them all would take hours. */
const PEERS = ['connect-redis 10 (node-redis)', 'connect-memjs', 'connect-pg-simple', 'better-sqlite3-session-store']

/** The time that `quick` leaves is for few sessions. */
function sizesFor({ contestant: { role, kind } }: Entry, quick: boolean): number[] {
  if (quick) return [2000]
  const onDisk = kind === 'postgres' || kind === 'sqlite'
  return role === 'ours' && onDisk ? [10_000, PRUNED, 5_000_000] : [10_000, PRUNED]
}

/** What becomes of a store as sessions grow in number. */
export async function scaleLevel({ entries, quick, progress }: Bench): Promise<ScaleResults> {
  const chosen = entries.filter(({ contestant: { role, name } }) => role === 'ours' || PEERS.includes(name))
  progress.begin('scale', chosen.flatMap((entry) => sizesFor(entry, quick)).length)
  const results: ScaleResults = { sizes: [], prunes: [] }
  for (const entry of chosen) {
    // Servers for each: they shall hold nothing else.
    const servers = await startServers([entry.contestant.kind])
    const runner = await startRunner(entry, servers, (place) => ({ ...place, movableClock: true }))
    try {
      const empty = await bytesUsed(runner)
      let filled = 0
      for (const sessions of sizesFor(entry, quick)) {
        progress.step(`${entry.label}, ${sessions} sessions`)
        const filledPerSecond = await fill(runner, filled, sessions)
        filled = sessions
        const ms = quick ? 100 : 3000
        const read = (callers: number, time: number) =>
          runner.application.ask('readAmong', { sessions, callers, ms: time })
        await read(CALLERS, ms / 3) // so that code and caches are warm
        const [lone, busy] = [await read(1, ms), await read(CALLERS, ms)]
        const bytesPerSession = ((await bytesUsed(runner)) - empty) / sessions
        results.sizes.push({ ...whose(entry), sessions, filledPerSecond, lone, busy, bytesPerSession })
        if (prunes(entry) && (quick || sessions === PRUNED)) {
          results.prunes.push({ ...whose(entry), ...(await prune(runner, sessions, busy)) })
        }
      }
    } finally {
      await runner.application.stop()
      await stopServers(servers)
    }
  }
  return results
}

/** Answers how many sessions a second it took. */
async function fill({ application }: Runner, from: number, to: number): Promise<number> {
  const begun = performance.now()
  await application.ask('fill', { from, to, expired: false })
  return (to - from) / ((performance.now() - begun) / 1000)
}

/** Elsewhere the server forgets expired sessions by itself. */
function prunes({ contestant: { role, kind } }: Entry): boolean {
  return role === 'ours' && kind !== 'redis' && kind !== 'memcached'
}

/** @param before how it reads undisturbed */
async function prune({ application, contestant, place }: Runner, live: number, before: ReadFigures) {
  const expired = 0.3 * live
  const from = 10_000_000 // past the live ones
  await application.ask('fill', { from, to: from + expired, expired: true })
  // On Postgres, as on a real site, not only the process that reads.
  const others = contestant.kind === 'postgres' ? [await startApplication(contestant, place)] : []
  try {
    const [{ seconds, during }] = await Promise.all([
      application.ask('pruneUnderLoad', { sessions: live, callers: CALLERS }),
      ...others.map((other) => other.ask('prune')),
    ])
    return { live, expired, processes: 1 + others.length, seconds, before, during }
  } finally {
    await Promise.all(others.map((other) => other.stop()))
  }
}

async function bytesUsed({ application, server, contestant, place }: Runner): Promise<number> {
  return contestant.kind === 'memory' ? application.ask('memoryInUse') : server.size(contestant, place)
}
