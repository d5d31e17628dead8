import { Wire } from '@session-stores/testing/memcached-wire'
import { type Bench, type Runner, startRunner, type Whose, whose } from '../bench.ts'
import { startLoad } from '../processes/load.ts'
import type { Load } from '../requests/drive.ts'
import { CONNECTIONS, USERS } from '../requests/level.ts'
import { startServers, stopServers } from '../servers/index.ts'
import type { Server } from '../servers/server.ts'

/** What requests through the plugin ask of the server. All figures are for one request. */
export interface TrafficRow extends Whose {
  load: Load
  connections: number
  /** By name, as the server counts them: those inside a script too. */
  commands: Record<string, number>
  /** To the server, and back. */
  sentBytes: number
  receivedBytes: number
  /** How many pieces the bytes to the server came in. */
  pieces: number
}

const BYTES = 300

/** Counts what stands between the application and the server. There is nothing to count where there is no server. */
export async function trafficLevel({ entries, quick, progress }: Bench): Promise<TrafficRow[]> {
  const loads: Load[] = quick ? ['reads', 'writes'] : ['reads', 'writes', 'log-ins']
  const connections = quick ? [CONNECTIONS] : [1, CONNECTIONS]
  const requests = quick ? 640 : 6400
  const remote = entries.filter(({ contestant }) => ['redis', 'memcached', 'postgres'].includes(contestant.kind))
  progress.begin('traffic', remote.length)

  const servers = await startServers(remote.map(({ contestant }) => contestant.kind))
  const load = startLoad()
  try {
    const rows: TrafficRow[] = []
    for (const entry of remote) {
      progress.step(entry.label)
      const wire = await Wire.to((servers.get(entry.contestant.kind) as Server).port)
      const runner = await startRunner(entry, servers, (place) => ({ ...place, port: wire.port }))
      try {
        const port = await runner.application.ask('listen')
        const cookies = await load.ask('logIn', { port, users: USERS, bytes: BYTES })
        for (const count of connections) {
          for (const name of loads) {
            const job = { port, load: name, cookies, connections: count, until: { requests }, bytes: BYTES }
            const before = await readings(runner, wire)
            await load.ask('drive', job)
            const after = await readings(runner, wire)
            rows.push({ ...whose(runner), load: name, connections: count, ...perRequest(before, after, requests) })
          }
        }
      } finally {
        await runner.application.stop()
        await wire.stop()
      }
    }
    return rows
  } finally {
    await load.stop()
    await stopServers(servers)
  }
}

type Readings = Omit<TrafficRow, keyof Whose | 'load' | 'connections'>

async function readings({ server }: Runner, { sent, received, requests }: Wire): Promise<Readings> {
  return { commands: (await server.commands?.()) ?? {}, sentBytes: sent, receivedBytes: received, pieces: requests }
}

function perRequest(before: Readings, after: Readings, requests: number): Readings {
  const commands = Object.keys(after.commands)
    // What the benchmark itself asks, and what a connection begins with.
    .filter((name) => !['info', 'hello', 'client', 'client|setinfo'].includes(name))
    .map((name) => [name, ((after.commands[name] ?? 0) - (before.commands[name] ?? 0)) / requests] as const)
    .filter(([, count]) => count >= 0.005)
  return {
    commands: Object.fromEntries(commands),
    sentBytes: (after.sentBytes - before.sentBytes) / requests,
    receivedBytes: (after.receivedBytes - before.receivedBytes) / requests,
    pieces: (after.pieces - before.pieces) / requests,
  }
}
