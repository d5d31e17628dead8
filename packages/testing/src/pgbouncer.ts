import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { PostgresServer } from './postgres.ts'
import { freePort, removeFolder, ServerProcess, until } from './process.ts'
import { findProgram, serverFolder, unprivileged } from './unprivileged.ts'

export interface PgBouncerOptions {
  /** How many connections to the server all clients share. */
  poolSize?: number
  /** Further lines for its `[pgbouncer]` section. */
  settings?: Record<string, string | number>
}

/** A PgBouncer in transaction mode in front of a test's Postgres: each transaction may meet another connection. */
export class PgBouncer {
  readonly host = '127.0.0.1'
  readonly port: number
  readonly #folder: string
  #process: ServerProcess

  private constructor(folder: string, port: number) {
    this.port = port
    this.#folder = folder
    this.#process = this.#run()
  }

  static async start(server: PostgresServer, options: PgBouncerOptions = {}): Promise<PgBouncer> {
    const { poolSize = 4, settings = {} } = options
    const [folder, port] = [serverFolder('pgbouncer'), await freePort()]
    const lines = {
      listen_addr: '127.0.0.1',
      listen_port: port,
      unix_socket_dir: '',
      auth_type: 'any',
      pool_mode: 'transaction',
      default_pool_size: poolSize,
      max_client_conn: 200,
      ...settings,
    }
    writeFileSync(
      join(folder, 'pgbouncer.ini'),
      `[databases]\n* = host=${server.host} port=${server.port} user=postgres\n[pgbouncer]\n${Object.entries(lines)
        .map(([name, value]) => `${name} = ${value}\n`)
        .join('')}`,
    )
    const bouncer = new PgBouncer(folder, port)
    await until('PgBouncer listens', () => bouncer.#accepts())
    return bouncer
  }

  url(database = 'postgres'): string {
    return `postgres://postgres@${this.host}:${this.port}/${database}`
  }

  /** The end of what it logged. */
  get output(): string {
    return this.#process.output
  }

  /** SIGSTOP: it keeps its connections and answers nothing. */
  pause(): void {
    this.#process.pause()
  }

  resume(): void {
    this.#process.resume()
  }

  /** As PAUSE on its console: it keeps the connections of its clients, and holds their statements back. */
  holdStatements(): void {
    this.#process.child.kill('SIGUSR1')
  }

  /** As RESUME on its console. */
  releaseStatements(): void {
    this.#process.child.kill('SIGUSR2')
  }

  /** Ends it, and with it all connections through it, and starts it again on the same port. */
  async restart(): Promise<void> {
    await this.#process.stop('SIGTERM')
    this.#process = this.#run()
    await until('PgBouncer listens', () => this.#accepts())
  }

  async dispose(): Promise<void> {
    await this.#process.stop('SIGINT')
    removeFolder(this.#folder)
  }

  #run(): ServerProcess {
    const program = findProgram('pgbouncer', ['/usr/sbin', '/opt/homebrew/bin', '/usr/local/bin'])
    if (!program) throw new Error('PgBouncer is not installed; SKIP_PGBOUNCER=1 leaves out the tests that need it')
    const options = { cwd: this.#folder, ...unprivileged() }
    return new ServerProcess(program, [join(this.#folder, 'pgbouncer.ini')], options)
  }

  #accepts(): Promise<boolean> {
    if (!this.#process.alive) throw new Error(this.#process.output)
    return new Promise((resolve) => {
      const socket = connect(this.port, this.host)
      socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
      socket.on('connect', () => socket.destroy())
    })
  }
}
