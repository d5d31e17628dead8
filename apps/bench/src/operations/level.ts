import {
  type Bench,
  clear,
  inRounds,
  type Rounds,
  type Runner,
  stepsOf,
  type Whose,
  whose,
  withRunners,
} from '../bench.ts'
import { median, sum } from '../statistics.ts'
import { OPERATIONS, type Operation, type OperationFigures } from './measure.ts'

/** What one operation of one store costs, under one load. */
export interface OperationRow extends Whose {
  operation: Operation
  callers: number
  /** Of a session's JSON, about. */
  bytes: number
  perSecond: number
  /** In µs. */
  p50: number
  p99: number
  /** CPU time of the application for each operation, in µs. */
  cpu: number
  /** The same of the server; undefined where there is none, or where the system does not tell. */
  serverCpu: number | undefined
  /** How many operations in the time in which the driver alone does one: the median over the rounds. */
  toDriver: number | undefined
}

type Turn = Map<Operation, OperationFigures>

/** Calls of each store, without the plugin. */
export async function operationsLevel(bench: Bench): Promise<OperationRow[]> {
  const { entries, quick, progress } = bench
  const sizes = quick ? [300] : [300, 8192]
  const loads = sizes.flatMap((bytes) => (quick ? [64] : [1, 64, 512]).map((callers) => ({ callers, bytes })))
  const [rounds, ms] = quick ? [1, 40] : [5, 200]
  const withStores = entries.filter(({ contestant }) => contestant.plugin === undefined)
  progress.begin('operations', loads.length * stepsOf(bench, withStores.length, rounds))

  return withRunners(withStores, async (runners) => {
    const rows: OperationRow[] = []
    for (const { callers, bytes } of loads) {
      const what = `${callers} callers, ${bytes} B`
      const came = await inRounds(bench, runners, rounds, what, (runner) => measureTurn(runner, callers, bytes, ms))
      for (const runner of runners) {
        for (const operation of OPERATIONS) {
          rows.push({ ...whose(runner), operation, callers, bytes, ...summed(came, runner, operation) })
        }
      }
    }
    return rows
  })
}

async function measureTurn(runner: Runner, callers: number, bytes: number, ms: number): Promise<Turn> {
  const { application, server } = runner
  const turn: Turn = new Map()
  await clear(runner)
  for (const operation of OPERATIONS) {
    const job = { operation, callers, bytes, ms, serverPid: server.pid }
    turn.set(operation, await application.ask('operation', job))
  }
  await clear(runner)
  return turn
}

function summed(came: Rounds<Turn>, { label, contestant: { driver } }: Runner, operation: Operation) {
  const own = [...(came.get(label) ?? [])].map(([round, turn]) => ({
    round,
    ...(turn.get(operation) as OperationFigures),
  }))
  const server = own.map(({ serverCpu }) => serverCpu ?? Number.NaN)
  const driverIn = (round: number) =>
    came
      .get(driver ?? '')
      ?.get(round)
      ?.get(operation)?.perSecond ?? Number.NaN
  return {
    perSecond: median(own.map(({ perSecond }) => perSecond)),
    p50: median(own.map(({ p50 }) => p50)),
    p99: median(own.map(({ p99 }) => p99)),
    cpu: median(own.map(({ cpu, count }) => cpu / count)),
    // Over all rounds, since it counts in large steps.
    serverCpu: server.some(Number.isNaN) ? undefined : sum(server) / sum(own.map(({ count }) => count)),
    toDriver: driver === undefined ? undefined : median(own.map(({ perSecond, round }) => perSecond / driverIn(round))),
  }
}
