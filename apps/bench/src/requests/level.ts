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
import { REFERENCE } from '../contestants/memory.ts'
import { type LoadProcess, startLoad } from '../processes/load.ts'
import { cpuOf } from '../servers/cpu.ts'
import { median, sum } from '../statistics.ts'
import type { Load } from './drive.ts'

/** What requests through the plugin cost with one store, under one load. */
export interface RequestRow extends Whose {
  load: Load
  /** Of a session's JSON, about. */
  bytes: number
  perSecond: number
  /** In ms. */
  p50: number
  p99: number
  /** CPU time of the application for each request, in µs. */
  cpu: number
  /** The same as a multiple of the plugin's MemoryStore in the same round: the median over the rounds. */
  toMemory: number
  /** CPU time of the server for each request, in µs. */
  serverCpu: number | undefined
  /** The 99th percentile of how long the application's event loop kept a timer waiting, in ms. */
  eventLoopDelay: number
}

interface Round {
  requests: number
  perSecond: number
  p50: number
  p99: number
  cpu: number
  serverCpu: number | undefined
  eventLoopDelay: number
}

type Turn = Map<Load, Round>

export const CONNECTIONS = 64
/** Four for each connection, so that no two requests have the same session at once. */
export const USERS = 256

/** Requests over real sockets to an application with the plugin and each store. */
export async function requestsLevel(bench: Bench): Promise<RequestRow[]> {
  const { entries, quick, progress } = bench
  const usual: Load[] = quick ? ['reads', 'writes'] : ['reads', 'a tenth writes', 'writes', 'log-ins']
  const sizes: Array<{ bytes: number; loads: Load[] }> = [{ bytes: 300, loads: usual }]
  if (!quick) sizes.push({ bytes: 60_000, loads: ['a tenth writes'] })
  const [rounds, ms] = quick ? [1, 400] : [5, 1500]
  progress.begin('requests', sizes.length * stepsOf(bench, entries.length, rounds))

  const load = startLoad()
  try {
    return await withRunners(entries, async (runners) => {
      const ports = new Map<Runner, number>()
      for (const runner of runners) ports.set(runner, await runner.application.ask('listen'))
      const rows: RequestRow[] = []
      for (const { bytes, loads } of sizes) {
        // The larger ones do not fit into a cookie.
        const able = runners.filter(({ contestant }) => bytes < 4000 || contestant.plugin === undefined)
        const came = await inRounds(bench, able, rounds, `${bytes} B`, (runner) =>
          measureTurn(runner, load, { port: ports.get(runner) as number, bytes, loads, ms }),
        )
        for (const runner of able) {
          for (const name of loads)
            rows.push({ ...whose(runner), load: name, bytes, ...summed(came, runner.label, name) })
        }
      }
      return rows
    })
  } finally {
    await load.stop()
  }
}

interface TurnJob {
  port: number
  bytes: number
  loads: Load[]
  ms: number
}

/** All loads on one application, with users that have just logged in. */
async function measureTurn(runner: Runner, load: LoadProcess, { port, bytes, loads, ms }: TurnJob): Promise<Turn> {
  const { application, server } = runner
  await clear(runner)
  const cookies = await load.ask('logIn', { port, users: USERS, bytes })
  const drive = (name: Load, time: number) =>
    load.ask('drive', { port, load: name, cookies, connections: CONNECTIONS, until: { ms: time }, bytes })
  await drive('a tenth writes', ms / 5) // so that code and caches are warm again
  const turn: Turn = new Map()
  for (const name of loads) {
    const serverBefore = server.pid && cpuOf(server.pid)
    await application.ask('startMeter')
    const { perSecond, p50, p99 } = await drive(name, ms)
    const { requests, cpu, eventLoopDelay } = await application.ask('stopMeter')
    const serverAfter = server.pid && cpuOf(server.pid)
    const serverCpu = serverBefore === undefined || serverAfter === undefined ? undefined : serverAfter - serverBefore
    turn.set(name, { requests, perSecond, p50, p99, cpu, serverCpu, eventLoopDelay })
  }
  await clear(runner)
  return turn
}

function summed(came: Rounds<Turn>, label: string, load: Load) {
  const own = [...(came.get(label) ?? [])].map(([round, turn]) => ({ round, ...(turn.get(load) as Round) }))
  const server = own.map(({ serverCpu }) => serverCpu ?? Number.NaN)
  const perRequest = (round: Round | undefined) => (round ? round.cpu / round.requests : Number.NaN)
  return {
    perSecond: median(own.map(({ perSecond }) => perSecond)),
    p50: median(own.map(({ p50 }) => p50)),
    p99: median(own.map(({ p99 }) => p99)),
    cpu: median(own.map(perRequest)),
    toMemory: median(own.map((each) => perRequest(each) / perRequest(came.get(REFERENCE)?.get(each.round)?.get(load)))),
    // Over all rounds, since it counts in large steps.
    serverCpu: server.some(Number.isNaN) ? undefined : sum(server) / sum(own.map(({ requests }) => requests)),
    eventLoopDelay: median(own.map(({ eventLoopDelay }) => eventLoopDelay)),
  }
}
