import {
  type Bench,
  clear,
  type Entry,
  inRounds,
  type Rounds,
  type Runner,
  stepsOf,
  type Whose,
  whose,
  withRunners,
} from '../bench.ts'
import type { Feature } from '../contestants/contestant.ts'
import type { Operation } from '../operations/measure.ts'
import { type LoadProcess, startLoad } from '../processes/load.ts'
import type { Load } from '../requests/drive.ts'
import { CONNECTIONS, USERS } from '../requests/level.ts'
import { median } from '../statistics.ts'

/** What a feature of our stores that has to be switched on costs the application: one kind of request, or one call. */
export interface FeatureRow extends Whose {
  /** Undefined for the store as it comes. */
  feature: Feature | undefined
  what: Work
  /** CPU time of the application for each, in µs. */
  cpu: number
  /** The same as a multiple of the store as it comes in the same round: the median over the rounds. */
  toPlain: number
}

type Work = { request: Load } | { operation: Operation }

const WORKS: readonly Work[] = [
  { request: 'reads' },
  { request: 'writes' },
  { operation: 'get hit' },
  { operation: 'set changed' },
]

const FEATURES = [undefined, 'userOf', 'encryptionKeys'] as const
const BYTES = 300

/** CPU time for each of the works, in their order, in µs. */
type Turn = number[]

/** Each of our stores as it comes, and with each feature. */
export async function featuresLevel(bench: Bench): Promise<FeatureRow[]> {
  const entries = bench.entries.flatMap(variantsOf)
  const [rounds, ms] = bench.quick ? [1, 40] : [11, 500]
  bench.progress.begin('features', stepsOf(bench, entries.length, rounds))
  const load = startLoad()
  try {
    return await withRunners(entries, async (runners) => {
      const ports = new Map<Runner, number>()
      for (const runner of runners) ports.set(runner, await runner.application.ask('listen'))
      const measure = (runner: Runner) => measureTurn(runner, load, ports.get(runner) as number, ms)
      const came = await inRounds(bench, runners, rounds, 'features', measure)
      return runners.flatMap((runner) =>
        WORKS.map((what, at) => ({
          ...whose(runner),
          feature: runner.feature,
          what,
          cpu: median([...(came.get(runner.label)?.values() ?? [])].map((turn) => turn[at] ?? Number.NaN)),
          toPlain: toPlain(came, runner, at),
        })),
      )
    })
  } finally {
    await load.stop()
  }
}

/** The entries in which one of ours takes part here. Memcached knows no users. */
function variantsOf(entry: Entry): Entry[] {
  const { contestant, label } = entry
  if (contestant.role !== 'ours') return []
  const able = FEATURES.filter((feature) => feature !== 'userOf' || contestant.kind !== 'memcached')
  return able.map((feature) => ({ ...entry, feature, label: feature ? `${label}, ${feature}` : label }))
}

async function measureTurn(runner: Runner, load: LoadProcess, port: number, ms: number): Promise<Turn> {
  const { application } = runner
  await clear(runner)
  const cookies = await load.ask('logIn', { port, users: USERS, bytes: BYTES })
  const drive = (name: Load, time: number) =>
    load.ask('drive', { port, load: name, cookies, connections: CONNECTIONS, until: { ms: time }, bytes: BYTES })
  await drive('a tenth writes', ms / 2) // so that code and caches are warm again
  const turn: Turn = []
  for (const what of WORKS) {
    if ('request' in what) {
      await application.ask('startMeter')
      await drive(what.request, ms)
      const { requests, cpu } = await application.ask('stopMeter')
      turn.push(cpu / requests)
    } else {
      const job = { operation: what.operation, callers: 64, bytes: BYTES, ms: ms / 2, serverPid: undefined }
      const { cpu, count } = await application.ask('operation', job)
      turn.push(cpu / count)
    }
  }
  await clear(runner)
  return turn
}

function toPlain(came: Rounds<Turn>, { label, feature }: Runner, at: number): number {
  const plain = came.get(feature === undefined ? label : label.slice(0, -`, ${feature}`.length))
  const own = [...(came.get(label) ?? [])]
  return median(own.map(([round, turn]) => (turn[at] ?? Number.NaN) / (plain?.get(round)?.[at] ?? Number.NaN)))
}
