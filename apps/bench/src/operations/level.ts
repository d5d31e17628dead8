import { type Bench, clear, inTurn, whose, type Whose, withRunners } from '../bench.ts'
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
  /** Processor time of the application for each operation, in µs. */
  cpu: number
  /** The same of the server; undefined where there is none, or where the system does not tell. */
  serverCpu: number | undefined
  /** How many operations in the time in which the driver alone does one: the median over the rounds. */
  toDriver: number | undefined
}

/** Calls of each store, without the plugin. */
export async function operationsLevel({ entries, quick, progress }: Bench): Promise<OperationRow[]> {
  const loads = quick ? [[64, 300]] : [[1, 300], [64, 300], [512, 300], [1, 8192], [64, 8192], [512, 8192]]
  const [rounds, ms] = quick ? [1, 40] : [5, 200]
  const withStores = entries.filter(({ contestant }) => contestant.plugin === undefined)
  progress.begin('operations', loads.length * (rounds + 1) * withStores.length)

  return withRunners(withStores, async (runners) => {
    const rows: OperationRow[] = []
    for (const [callers = 1, bytes = 300] of loads) {
      const figures = new Map(runners.map(({ label }) => [label, new Map<Operation, OperationFigures[]>()]))
      // The round before the first is for the compiler's sake, and not counted.
      for (let round = -1; round < rounds; round += 1) {
        for (const runner of inTurn(runners, round + 1)) {
          progress.step(`${callers} callers, ${bytes} B, round ${round + 1} of ${rounds}: ${runner.label}`)
          await clear(runner)
          for (const operation of OPERATIONS) {
            const serverPid = runner.server.pid
            const came = await runner.application.ask('operation', { operation, callers, bytes, ms, serverPid })
            if (round >= 0) pushTo(figures.get(runner.label), operation, came)
          }
          await clear(runner)
        }
      }
      for (const runner of runners) {
        for (const operation of OPERATIONS) {
          const own = figures.get(runner.label)?.get(operation) ?? []
          const drivers = figures.get(runner.contestant.driver ?? '')?.get(operation)
          rows.push({ ...whose(runner), operation, callers, bytes, ...summed(own, drivers) })
        }
      }
    }
    return rows
  })
}

function summed(rounds: OperationFigures[], drivers: OperationFigures[] | undefined) {
  const operations = sum(rounds.map(({ count }) => count))
  const server = rounds.map(({ serverCpu }) => serverCpu ?? Number.NaN)
  return {
    perSecond: median(rounds.map(({ perSecond }) => perSecond)),
    p50: median(rounds.map(({ p50 }) => p50)),
    p99: median(rounds.map(({ p99 }) => p99)),
    cpu: median(rounds.map(({ cpu, count }) => cpu / count)),
    // Over all rounds, since it counts in large steps.
    serverCpu: server.some(Number.isNaN) ? undefined : sum(server) / operations,
    toDriver: drivers && median(rounds.map(({ perSecond }, round) => perSecond / (drivers[round]?.perSecond ?? Number.NaN))),
  }
}

function pushTo<K, V>(lists: Map<K, V[]> | undefined, key: K, value: V): void {
  const list = lists?.get(key)
  if (list) list.push(value)
  else lists?.set(key, [value])
}
