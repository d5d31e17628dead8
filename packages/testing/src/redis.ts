import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { dataFolder, freePort, removeFolder, ServerProcess, until } from './process.ts'

const run = promisify(execFile)

/** A Redis server of the tests' own on a free port of loopback, without persistence unless its options say otherwise. */
export class RedisServer {
  readonly port: number
  readonly folder = dataFolder('redis')
  readonly #options: readonly string[]
  #process: ServerProcess | undefined

  /** @param options as on the command line of redis-server: `'--maxmemory', '2mb'` */
  static async start(...options: string[]): Promise<RedisServer> {
    return RedisServer.startOn(await freePort(), ...options)
  }

  static async startOn(port: number, ...options: string[]): Promise<RedisServer> {
    const server = new RedisServer(port, options)
    await server.start()
    return server
  }

  private constructor(port: number, options: readonly string[]) {
    this.port = port
    this.#options = options
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  get address(): { host: string; port: number } {
    return { host: '127.0.0.1', port: this.port }
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  /**
   * Starts it, also again after it was stopped, and resolves when it answers, be it that it is still loading its data.
   * @param options for this time only
   */
  async start(...options: string[]): Promise<void> {
    const where = ['--bind', '127.0.0.1', '--port', `${this.port}`, '--dir', this.folder]
    const process = new ServerProcess('redis-server', [
      ...where,
      '--save',
      '',
      '--protected-mode',
      'no',
      ...this.#options,
      ...options,
    ])
    this.#process = process
    await until(`redis-server on port ${this.port}`, async () => {
      if (!process.alive) throw new Error(process.output)
      return /PONG|LOADING|NOAUTH|NOPERM/.test(await this.cli('PING'))
    })
  }

  /** What redis-cli prints for this command. */
  async cli(...command: string[]): Promise<string> {
    const { stdout } = await run('redis-cli', ['-h', '127.0.0.1', '-p', `${this.port}`, ...command])
    return stdout.trim()
  }

  /** What it says about itself, where that is asked again and again: a process for each would keep a busy machine busy. */
  async report(command: 'INFO replication' | 'CLUSTER INFO' | 'CLUSTER NODES'): Promise<string> {
    const socket = connect(this.port, '127.0.0.1').setEncoding('utf8')
    try {
      socket.write(`${command}\r\n`)
      let answer = ''
      for await (const chunk of socket) {
        answer += chunk
        const [, length, text = ''] = /^\$(\d+)\r\n(.*)\r\n$/s.exec(answer) ?? []
        if (text.length === Number(length)) return text.trim()
        if (answer.startsWith('-')) break
      }
      throw new Error(`${command} was answered with ${answer}`)
    } finally {
      socket.destroy()
    }
  }

  /** It keeps its connections and answers nothing. */
  pause(): void {
    this.#process?.pause()
  }

  resume(): void {
    this.#process?.resume()
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    await this.#process?.stop('SIGKILL')
  }

  async stop(): Promise<void> {
    await this.kill()
    removeFolder(this.folder)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/** A Cluster of three masters with a replica each. A master that is gone is replaced after about two seconds. */
export class RedisClusterServers {
  readonly servers: readonly RedisServer[]

  static async start(): Promise<RedisClusterServers> {
    const servers = await Promise.all(
      Array.from({ length: 6 }, async () =>
        RedisServer.start(
          ...['--cluster-enabled', 'yes', '--cluster-port', `${await freePort()}`],
          ...['--cluster-node-timeout', '1000', '--cluster-replica-validity-factor', '0'],
          ...['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'],
        ),
      ),
    )
    const cluster = new RedisClusterServers(servers)
    await cluster.#join()
    return cluster
  }

  private constructor(servers: readonly RedisServer[]) {
    this.servers = servers
  }

  /** Where a client begins to look. */
  get addresses(): Array<{ host: string; port: number }> {
    return this.servers.map((server) => server.address)
  }

  /** The servers that are masters and have slots now. */
  async masters(): Promise<RedisServer[]> {
    const nodes = await this.#nodes()
    return nodes.filter(({ isMaster, slots }) => isMaster && slots).map(({ server }) => server)
  }

  async masterOf(key: string): Promise<RedisServer> {
    const slot = Number(await this.#first().cli('CLUSTER', 'KEYSLOT', key))
    const nodes = await this.#nodes()
    const owner = nodes.find(
      ({ isMaster, ranges }) => isMaster && ranges.some(([from, to]) => slot >= from && slot <= to),
    )
    if (owner === undefined) throw new Error(`nobody has slot ${slot}`)
    return owner.server
  }

  /** Moves slots from one master to another, with the keys in them. */
  async reshard(from: RedisServer, to: RedisServer, slots: number): Promise<void> {
    const [source, target] = [await from.cli('CLUSTER', 'MYID'), await to.cli('CLUSTER', 'MYID')]
    const how = ['--cluster-from', source, '--cluster-to', target, '--cluster-slots', `${slots}`, '--cluster-yes']
    await run('redis-cli', ['--cluster', 'reshard', `127.0.0.1:${from.port}`, ...how], { maxBuffer: 64 * 1024 * 1024 })
    await this.whole()
  }

  /** Resolves when all slots are served by three masters, each with a replica that is in step, and all servers know it. */
  async whole(): Promise<void> {
    await until('the Cluster is whole', async () => {
      const states = await Promise.all(this.servers.map((server) => server.report('CLUSTER INFO')))
      if (!states.every((state) => /cluster_state:ok/.test(state) && /cluster_size:3\b/.test(state))) return false
      return (await this.masters()).length === 3 && (await this.#agree()) && areInStep(this.servers, 3)
    })
  }

  /** Whether all servers say the same of who has which slots. Until then, redis-cli moves no further ones. */
  async #agree(): Promise<boolean> {
    const views = await Promise.all(this.servers.map((server) => server.report('CLUSTER NODES')))
    const owners = views.map((view) => {
      const lines = view.split('\n').map((line) => line.split(' '))
      const withSlots = lines.filter(({ length }) => length > 8)
      return withSlots.map(([id, , , , , , , , ...slots]) => [id, ...slots].join(' ')).sort()
    })
    const [first, ...others] = owners.map((each) => each.join('\n'))
    return !first?.includes('[') && others.every((each) => each === first)
  }

  /** Resolves when the replicas have all that their masters have now. */
  async replicated(): Promise<void> {
    await replicated(this.servers)
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()))
  }

  async #join(): Promise<void> {
    const [first, ...others] = this.servers as [RedisServer, ...RedisServer[]]
    const masters = this.servers.slice(0, 3)
    const ranges = [
      [0, 5460],
      [5461, 10922],
      [10923, 16383],
    ] as const
    await Promise.all(masters.map((server, n) => server.cli('CLUSTER', 'ADDSLOTSRANGE', ...ranges[n as 0].map(String))))
    await Promise.all(masters.map((server, n) => server.cli('CLUSTER', 'SET-CONFIG-EPOCH', `${n + 1}`)))
    for (const server of others) await server.cli('CLUSTER', 'MEET', '127.0.0.1', `${first.port}`, await busPort(first))
    await until('the servers of the Cluster know each other', async () => {
      const infos = await Promise.all(this.servers.map((server) => server.report('CLUSTER INFO')))
      return infos.every((info) => /cluster_known_nodes:6\b/.test(info) && /cluster_size:3\b/.test(info))
    })
    for (const [n, replica] of this.servers.slice(3).entries()) {
      await replica.cli('CLUSTER', 'REPLICATE', await (masters[n] as RedisServer).cli('CLUSTER', 'MYID'))
    }
    await this.whole()
  }

  #first(): RedisServer {
    return this.servers[0] as RedisServer
  }

  /** As the first server that answers sees them. */
  async #nodes() {
    const lines = (await Promise.any(this.servers.map((server) => server.report('CLUSTER NODES')))).split('\n')
    return lines.flatMap((line) => {
      const [, address = '', flags = '', , , , , , ...slots] = line.split(' ')
      const server = this.servers.find(({ port }) => address.includes(`:${port}@`))
      if (server === undefined) return []
      const ranges = slots
        .filter((slot) => !slot.startsWith('['))
        .map((slot) => slot.split('-').map(Number))
        .map(([from = 0, to = from]) => [from, to] as const)
      const isMaster = flags.includes('master') && !flags.split(',').includes('fail')
      return [{ server, isMaster, slots: ranges.length > 0, ranges }]
    })
  }
}

/** Whether so many of the servers are masters with a replica, and the others replicas that have their master's data. */
async function areInStep(servers: readonly RedisServer[], masters: number): Promise<boolean> {
  const infos = await Promise.all(servers.map((server) => server.report('INFO replication')))
  const online = infos.filter((info) => info.includes('role:master') && info.includes('state=online'))
  const replicas = infos.filter((info) => info.includes('role:slave') && info.includes('master_link_status:up'))
  return online.length === masters && replicas.length === servers.length - masters
}

/** What a replica has not is lost with its master. */
async function replicated(servers: readonly RedisServer[]): Promise<void> {
  const infos = await Promise.all(servers.map((server) => server.report('INFO replication')))
  const offsets = new Map<string, number>()
  for (const [n, info] of infos.entries()) {
    if (info.includes('role:master')) offsets.set(`${servers[n]?.port}`, numberIn(info, 'master_repl_offset'))
  }
  const replicas = servers.filter((_, n) => infos[n]?.includes('role:slave'))
  await until('the replicas have caught up', async () => {
    const now = await Promise.all(replicas.map((replica) => replica.report('INFO replication')))
    return now.every((info) => {
      const master = /master_port:(\d+)/.exec(info)?.[1] ?? ''
      return numberIn(info, 'slave_repl_offset') >= (offsets.get(master) ?? Number.POSITIVE_INFINITY)
    })
  })
}

function numberIn(info: string, name: string): number {
  return Number(new RegExp(`${name}:(\\d+)`).exec(info)?.[1])
}

async function busPort(server: RedisServer): Promise<string> {
  const nodes = await server.report('CLUSTER NODES')
  return /@(\d+)/.exec(nodes)?.[1] ?? ''
}

/** A master with a replica, watched by three Sentinels. A master that is gone is replaced after some seconds. */
export class SentinelServers {
  readonly name = 'sessions'
  readonly servers: readonly RedisServer[]
  readonly sentinels: readonly Sentinel[]

  static async start(): Promise<SentinelServers> {
    const fast = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1']
    const master = await RedisServer.start(...fast)
    const replica = await RedisServer.start('--replicaof', `127.0.0.1 ${master.port}`, ...fast)
    await until('the replica is in step', () => areInStep([master, replica], 1))
    const sentinels = await Promise.all([1, 2, 3].map(() => Sentinel.start('sessions', master)))
    await until('the Sentinels know each other and the replica', async () => {
      const views = await Promise.all(sentinels.map((each) => each.cli('INFO', 'sentinel')))
      return views.every((view) => /slaves=1,sentinels=3/.test(view))
    })
    return new SentinelServers([master, replica], sentinels)
  }

  private constructor(servers: readonly RedisServer[], sentinels: readonly Sentinel[]) {
    this.servers = servers
    this.sentinels = sentinels
  }

  get addresses(): Array<{ host: string; port: number }> {
    return this.sentinels.map(({ port }) => ({ host: '127.0.0.1', port }))
  }

  /** The server that the Sentinels take for the master now. */
  async master(): Promise<RedisServer> {
    const answer = await (this.sentinels[0] as Sentinel).cli('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.name)
    const found = this.servers.find(({ port }) => answer.split('\n')[1] === `${port}`)
    if (found === undefined) throw new Error(`the Sentinels name ${answer}`)
    return found
  }

  /** Resolves when the other server is the master's replica and in step. */
  async whole(): Promise<void> {
    await until('the Sentinel set is whole', async () => {
      const info = await (await this.master()).report('INFO replication')
      return info.includes('role:master') && areInStep(this.servers, 1)
    })
  }

  /** Resolves when the replica has all that the master has now. */
  async replicated(): Promise<void> {
    await replicated(this.servers)
  }

  async stop(): Promise<void> {
    await Promise.all([...this.sentinels, ...this.servers].map((each) => each.stop()))
  }
}

class Sentinel {
  readonly port: number
  readonly #folder: string
  readonly #process: ServerProcess

  static async start(name: string, master: RedisServer): Promise<Sentinel> {
    const port = await freePort()
    const folder = dataFolder('sentinel')
    const file = join(folder, 'sentinel.conf')
    writeFileSync(
      file,
      `bind 127.0.0.1
port ${port}
dir ${folder}
sentinel monitor ${name} 127.0.0.1 ${master.port} 2
sentinel down-after-milliseconds ${name} 700
sentinel failover-timeout ${name} 3000
`,
    )
    const process = new ServerProcess('redis-sentinel', [file])
    const sentinel = new Sentinel(port, folder, process)
    await until(`redis-sentinel on port ${port}`, async () => {
      if (!process.alive) throw new Error(process.output)
      return (await sentinel.cli('PING')) === 'PONG'
    })
    return sentinel
  }

  private constructor(port: number, folder: string, process: ServerProcess) {
    this.port = port
    this.#folder = folder
    this.#process = process
  }

  async cli(...command: string[]): Promise<string> {
    const { stdout } = await run('redis-cli', ['-h', '127.0.0.1', '-p', `${this.port}`, ...command])
    return stdout.trim()
  }

  async stop(): Promise<void> {
    await this.#process.stop('SIGKILL')
    removeFolder(this.#folder)
  }
}
