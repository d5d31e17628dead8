import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A port on loopback that nothing listened on a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** A new empty folder for one server's data. */
export function dataFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `session-stores-${name}-`))
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}

/** Asks again until `check` answers something other than false or undefined, and fails after `within` ms. */
export async function until<T>(
  what: string,
  check: () => T | Promise<T>,
  within = 20_000,
): Promise<Exclude<T, false | undefined>> {
  const deadline = Date.now() + within
  let last: unknown
  for (;;) {
    try {
      const answer = await check()
      if (answer !== false && answer !== undefined) return answer as Exclude<T, false | undefined>
    } catch (error) {
      last = error
    }
    if (Date.now() > deadline) throw new Error(`${what}: not within ${within} ms`, { cause: last })
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** A server process of the tests' own. It dies with the test process, however that ends. */
export class ServerProcess {
  readonly child: ChildProcess
  #output = ''

  constructor(
    command: string,
    args: string[],
    options: { env?: NodeJS.ProcessEnv; cwd?: string; uid?: number; gid?: number } = {},
  ) {
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
    this.child.stdout?.on('data', (chunk) => this.#keep(chunk))
    this.child.stderr?.on('data', (chunk) => this.#keep(chunk))
    this.child.on('error', (error) => this.#keep(`${error}\n`))
    running.add(this.child)
    this.child.on('exit', () => running.delete(this.child))
  }

  /** The end of what the server printed, for the message of a test that failed. */
  get output(): string {
    return this.#output
  }

  /** Undefined when it could not be started. */
  get pid(): number | undefined {
    return this.child.pid
  }

  get alive(): boolean {
    return this.child.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null
  }

  /** SIGSTOP: the server keeps its connections and answers nothing. */
  pause(): void {
    this.child.kill('SIGSTOP')
  }

  resume(): void {
    this.child.kill('SIGCONT')
  }

  /** Ends the process and resolves when it is gone. `SIGKILL` leaves it no time for anything. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.alive) return
    const gone = once(this.child, 'exit')
    this.child.kill(signal)
    this.child.kill('SIGCONT')
    const tooLong = setTimeout(() => this.child.kill('SIGKILL'), 10_000)
    await gone
    clearTimeout(tooLong)
  }

  #keep(text: unknown): void {
    this.#output = (this.#output + String(text)).slice(-8000)
  }
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
