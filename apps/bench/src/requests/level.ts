import { type Bench, clear, inTurn, type Runner, whose, type Whose, withRunners } from '../bench.ts'
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
  /** Processor time of the application for each request, in µs. */
  cpu: number
  /** The same as a multiple of the plugin's MemoryStore in the same round: the median over the rounds. */
  toMemory: number
  /** Processor time of the server for each request, in µs. */
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

export const CONNECTIONS = 64
/** Four for each connection, so that no two requests have the same session at once. */
export const USERS = 256

/** Requests over real sockets to an application with the plugin and each store. */
export async function requestsLevel({ entries, quick, progress }: Bench): Promise<RequestRow[]> {
  const small: Load[] = quick ? ['reads', 'writes'] : ['reads', 'a tenth writes', 'writes', 'log-ins']
  const sizes: Array<[bytes: number, loads: Load[]]> = quick ? [[300, small]] : [[300, small], [60_000, ['a tenth writes']]]
  const [rounds, ms] = quick ? [1, 400] : [5, 1500]
  progress.begin('requests', sizes.length * (rounds + 1) * entries.length)

  const load = startLoad()
  try {
    return await withRunners(entries, async (runners) => {
      const ports = new Map<Runner, number>()
      for (const runner of runners) ports.set(runner, await runner.application.ask('listen'))
      const rows: RequestRow[] = []
      for (const [bytes, loads] of sizes) {
        const rounded = new Map<string, Round[]>()
        for (let round = -1; round < rounds; round += 1) {
          for (const runner of inTurn(runners, round + 1)) {
            progress.step(`${bytes} B, round ${round + 1} of ${rounds}: ${runner.label}`)
            const port = ports.get(runner) as number
            // Sessions of this size are too large for a cookie.
            if (runner.contestant.plugin && bytes > 4000) continue
            const came = await measureTurn(runner, load, port, bytes, loads, round < 0 ? Math.min(ms, 500) : ms)
            if (round < 0) continue
            for (const [name, figures] of came) {
              const key = `${runner.label} ${name}`
              rounded.set(key, [...(rounded.get(key) ?? []), figures])
            }
          }
        }
        for (const runner of runners) {
          for (const name of loads) {
            const own = rounded.get(`${runner.label} ${name}`)
            const memory = rounded.get(`${REFERENCE} ${name}`) ?? []
            if (own) rows.push({ ...whose(runner), load: name, bytes, ...summed(own, memory) })
          }
        }
      }
      return rows
    })
  } finally {
    await load.stop()
  }
}

/** All loads on one application, with users that have just logged in. */
async function measureTurn(runner: Runner, load: LoadProcess, port: number, bytes: number, loads: Load[], ms: number) {
  const { application, server } = runner
  await clear(runner)
  const cookies = await load.ask('logIn', { port, users: USERS, bytes })
  const drive = (name: Load, time: number) =>
    load.ask('drive', { port, load: name, cookies, connections: CONNECTIONS, until: { ms: time }, bytes })
  await drive('a tenth writes', ms / 5) // so that connections are made and code is warm again
  const came = new Map<Load, Round>()
  for (const name of loads) {
    const serverBefore = server.pid && cpuOf(server.pid)
    await application.ask('startMeter')
    const { perSecond, p50, p99 } = await drive(name, ms)
    const { requests, cpu, eventLoopDelay } = await application.ask('stopMeter')
    const serverAfter = server.pid && cpuOf(server.pid)
    const serverCpu = serverBefore === undefined || serverAfter === undefined ? undefined : serverAfter - serverBefore
    came.set(name, { requests, perSecond, p50, p99, cpu, serverCpu, eventLoopDelay })
  }
  await clear(runner)
  return came
}

function summed(rounds: Round[], memory: Round[]) {
  const server = rounds.map(({ serverCpu }) => serverCpu ?? Number.NaN)
  const perRequest = ({ cpu, requests }: Round) => cpu / requests
  return {
    perSecond: median(rounds.map(({ perSecond }) => perSecond)),
    p50: median(rounds.map(({ p50 }) => p50)),
    p99: median(rounds.map(({ p99 }) => p99)),
    cpu: median(rounds.map(perRequest)),
    toMemory: median(rounds.map((each, n) => perRequest(each) / (memory[n] ? perRequest(memory[n]) : Number.NaN))),
    serverCpu: server.some(Number.isNaN) ? undefined : sum(server) / sum(rounds.map(({ requests }) => requests)),
    eventLoopDelay: median(rounds.map(({ eventLoopDelay }) => eventLoopDelay)),
  }
}
