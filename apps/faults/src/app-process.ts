import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent } from 'node:http'
import { join } from 'node:path'
import type { AppCommand, AppCommands, AppConfig, AppMessage } from './app/config.ts'

/** How long a process may take until it takes requests, in ms. */
const LONGEST_START = 30_000
/** How long a process may take to end after SIGTERM, in ms. */
const LONGEST_END = 6000

/** One of the two processes of the application. */
export class AppProcess {
  /** Where it listens, also after a restart. */
  port = 0
  /** Whether it takes requests: false from the moment on that a fault ends it. */
  up = false
  /** How long its event loop had stood still when it answered last, in ms since it began. */
  stalled = 0
  /** The connections of the users' browsers to it. */
  agent = new Agent({ keepAlive: true })
  readonly warnings: string[] = []
  /** How it ended when nobody had asked it to, or otherwise than it should. */
  readonly crashes: string[] = []
  /** How long it took to end after each SIGTERM, in ms. */
  readonly ends: number[] = []
  readonly #config: AppConfig
  readonly #output: string[] = []
  /** What was asked and not yet answered. Without an answer: the process has ended. */
  readonly #pending = new Map<number, (message?: { answer?: unknown }) => void>()
  #child: ChildProcess | undefined
  #asked = 0

  constructor(config: AppConfig) {
    this.#config = config
  }

  /** All that it ever printed. */
  get output(): string {
    return this.#output.join('')
  }

  /** Starts it, also again after it ended. Resolves when it takes requests. */
  async start(): Promise<void> {
    const types = process.features.typescript ? [] : ['--experimental-strip-types']
    const main = join(import.meta.dirname, 'app', 'main.ts')
    const config: AppConfig = { ...this.#config, port: this.port }
    const child = spawn(process.execPath, [...types, '--expose-gc', main, JSON.stringify(config)], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    this.#child = child
    running.add(child)
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => this.#output.push(String(chunk)))
    const tooLong = setTimeout(() => child.kill('SIGKILL'), LONGEST_START)
    await new Promise<void>((resolve, reject) => {
      child.on('message', (message: AppMessage) => {
        if ('warning' in message) this.warnings.push(message.warning)
        else if ('id' in message) this.#pending.get(message.id)?.(message)
        else {
          this.port = message.listening
          this.up = true
          this.stalled = 0
          clearTimeout(tooLong)
          resolve()
        }
      })
      child.on('exit', (code, signal) => {
        running.delete(child)
        clearTimeout(tooLong)
        const end = `the application ended with ${signal ?? code}: ${this.output.slice(-2000)}`
        if (this.up || (code !== 0 && signal === null)) this.crashes.push(end)
        this.up = false
        for (const tell of this.#pending.values()) tell()
        reject(new Error(end))
      })
    })
  }

  /** Asks something of the process itself, past all requests. */
  ask<Name extends keyof AppCommands>(
    name: Name,
    argument: Parameters<AppCommands[Name]>[0],
  ): Promise<ReturnType<AppCommands[Name]>> {
    const id = this.#asked++
    const command: AppCommand = { id, name, argument }
    return new Promise((resolve, reject) => {
      this.#pending.set(id, (message) => {
        this.#pending.delete(id)
        if (message === undefined) reject(new Error(`the application ended before it could ${name}`))
        else resolve(message.answer as ReturnType<AppCommands[Name]>)
      })
      this.#child?.send(command, (error) => error && reject(error))
    })
  }

  /** SIGSTOP */
  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  /** SIGCONT */
  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  /** SIGKILL */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** SIGTERM, upon which it finishes what it has begun. */
  async end(): Promise<void> {
    const begun = performance.now()
    const tooLong = setTimeout(() => this.#child?.kill('SIGKILL'), LONGEST_END)
    await this.#end('SIGTERM')
    clearTimeout(tooLong)
    this.ends.push(performance.now() - begun)
  }

  /** Closes the browsers' idle connections, so that what is left are the store's. */
  hangUp(): void {
    this.agent.destroy()
    this.agent = new Agent({ keepAlive: true })
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    this.up = false
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'close')
    child.kill(signal)
    child.kill('SIGCONT')
    await gone
    this.hangUp()
  }
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
