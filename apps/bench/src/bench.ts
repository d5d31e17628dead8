import { basename } from 'node:path'
import type { Contestant, Feature, Kind, Place } from './contestants/contestant.ts'
import { contestants } from './contestants/index.ts'
import { REFERENCE } from './contestants/memory.ts'
import { isMeant, type Options } from './options.ts'
import { type Application, startApplication } from './processes/application.ts'
import type { Progress } from './progress.ts'
import { missingFor, startServers, stopServers } from './servers/index.ts'
import type { Server } from './servers/server.ts'

/** One that takes part: a contestant, or ours in another build. */
export interface Entry {
  /** As in the tables. */
  label: string
  contestant: Contestant
  build: string | undefined
  /** What of ours is switched on; undefined for a store as it comes. */
  feature?: Feature | undefined
}

/** A row of a table: whose it is. */
export interface Whose {
  label: string
  kind: Contestant['kind']
  role: Contestant['role']
  /** The label of the row of its driver alone. */
  driver: string | undefined
  /** The label of the row of the same store as it is built here; undefined for that one itself. */
  builtHere: string | undefined
}

export function whose({ label, build, contestant: { name, kind, role, driver } }: Entry): Whose {
  return { label, kind, role, driver, builtHere: build && name }
}

/** What all levels are given. */
export interface Bench {
  entries: Entry[]
  quick: boolean
  progress: Progress
}

/** Who takes part. The plugin's MemoryStore always does: others are compared to it. */
export async function entriesFor(options: Options): Promise<{ entries: Entry[]; leftOut: string[] }> {
  const { stores, builds, quick } = options
  const chosen = contestants.filter(
    (each) => stores.length === 0 || each.name === REFERENCE || stores.some((word) => isMeant(each, word)),
  )
  const entries: Entry[] = []
  const leftOut: string[] = []
  for (const contestant of chosen) {
    const program = missingFor(contestant.kind)
    const reason = program ? `${program} is not installed` : await contestant.unavailable?.(!quick)
    if (reason !== undefined) {
      leftOut.push(`${contestant.name}: ${reason}`)
      continue
    }
    entries.push({ label: contestant.name, contestant, build: undefined })
    if (contestant.role !== 'ours') continue
    for (const build of builds) entries.push({ label: `${contestant.name} @${basename(build)}`, contestant, build })
  }
  return { entries, leftOut }
}

/** An entry with its own process, and the server that its sessions are on. */
export interface Runner extends Entry {
  application: Application
  server: Server
  place: Place
}

/** Starts servers and one process for each entry, does the work, and ends them all. */
export async function withRunners<Result>(
  entries: Entry[],
  work: (runners: Runner[]) => Promise<Result>,
): Promise<Result> {
  const servers = await startServers(entries.map(({ contestant }) => contestant.kind))
  const runners: Runner[] = []
  try {
    // One after the other: started at once, so many processes would wait for each other in vain.
    for (const entry of entries) runners.push(await startRunner(entry, servers))
    return await work(runners)
  } finally {
    await Promise.all(runners.map(({ application }) => application.stop()))
    await stopServers(servers)
  }
}

/** @param adjust changes where it keeps its sessions, or how */
export async function startRunner(
  entry: Entry,
  servers: Map<Kind, Server>,
  adjust = (place: Place): Place => place,
): Promise<Runner> {
  const server = servers.get(entry.contestant.kind) as Server
  const place = adjust({ ...(await server.placeFor(entry.label)), build: entry.build, feature: entry.feature })
  return { ...entry, server, place, application: await startApplication(entry.contestant, place) }
}

/** Removes all of its sessions. */
export async function clear({ application, server, contestant, place }: Runner): Promise<void> {
  await application.ask('clear')
  await server.clear(contestant, place)
}

/** What was measured of each, by label and round: a round in which something failed is not there. */
export type Rounds<Figures> = Map<string, Map<number, Figures>>

/**
 * Measures all of them in each round, beginning with another one each time, so that none always comes after the same one.
 * A round before the first is for the compilers' sake, and not counted.
 */
export async function inRounds<Figures>(
  { quick, progress }: Bench,
  runners: Runner[],
  rounds: number,
  what: string,
  measure: (runner: Runner) => Promise<Figures>,
): Promise<Rounds<Figures>> {
  const came: Rounds<Figures> = new Map(runners.map(({ label }) => [label, new Map()]))
  for (let round = quick ? 1 : 0; round <= rounds; round += 1) {
    const from = (round * 5) % runners.length
    for (const runner of [...runners.slice(from), ...runners.slice(0, from)]) {
      progress.step(`${what}, round ${round} of ${rounds}: ${runner.label}`)
      try {
        const figures = await measure(runner)
        if (round > 0) came.get(runner.label)?.set(round, figures)
      } catch (error) {
        progress.say(
          `${what}, round ${round}, ${runner.label} FAILED: ${error instanceof Error ? error.message : error}`,
        )
      }
    }
  }
  return came
}

/** How often `inRounds` steps. */
export function stepsOf({ quick }: Bench, runners: number, rounds: number): number {
  return runners * (quick ? rounds : rounds + 1)
}
