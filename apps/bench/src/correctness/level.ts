import { type Bench, clear, type Entry, type Runner, startRunner, type Whose, whose } from '../bench.ts'
import { KINDS, type Kind } from '../contestants/contestant.ts'
import { startServers, stopServers } from '../servers/index.ts'
import type { Server } from '../servers/server.ts'
import { type Case, cases, type Verdict } from './cases.ts'

export interface CorrectnessRow extends Whose {
  /** The title of the case. */
  title: string
  /** Undefined when the case does not concern such a store, or was left out. */
  verdict: Verdict | undefined
}

/** Every case on every store that a user could choose, through the plugin. Kinds of stores are tried at once, for most of the time is waiting. */
export async function correctnessLevel({ entries, quick, progress }: Bench): Promise<CorrectnessRow[]> {
  const withStores = entries.filter(({ contestant: { plugin, role } }) => plugin === undefined && role !== 'driver')
  progress.begin('correctness', withStores.length)
  const rows = await Promise.all(
    KINDS.map(async (kind) => {
      const ofKind = withStores.filter(({ contestant }) => contestant.kind === kind)
      const servers = await startServers(ofKind.length > 0 ? [kind] : [])
      const found: CorrectnessRow[] = []
      try {
        for (const entry of ofKind) {
          progress.step(entry.label)
          found.push(...(await tryAll(entry, servers, quick)))
        }
        return found
      } finally {
        await stopServers(servers)
      }
    }),
  )
  return rows.flat()
}

async function tryAll(entry: Entry, servers: Map<Kind, Server>, quick: boolean): Promise<CorrectnessRow[]> {
  let runner = await startRunner(entry, servers)
  const rows: CorrectnessRow[] = []
  try {
    for (const each of cases) {
      const concerned = each.kinds.includes(entry.contestant.kind) && !(quick && each.slow)
      rows.push({ ...whose(entry), title: each.title, verdict: concerned ? await tryOne(each, runner) : undefined })
      // A process that has ended, or may still be in the outage, is no start for the next case.
      if (runner.application.alive && !(concerned && each.slow)) continue
      await runner.application.stop()
      runner = await startRunner(entry, servers)
    }
    return rows
  } finally {
    await runner.application.stop()
  }
}

async function tryOne({ maxAge, run }: Case, runner: Runner): Promise<Verdict> {
  try {
    await clear(runner)
    const port = await runner.application.ask('listenForCases', { maxAge })
    return await run({ ...runner, port })
  } catch (error) {
    return { kept: undefined, seen: `could not be tried: ${error instanceof Error ? error.message : error}` }
  }
}
