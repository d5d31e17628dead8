import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

// biome-ignore lint/suspicious/noExplicitAny: what a handler takes and answers is checked where it is called
export type Handlers = Record<string, (argument: any) => unknown>

interface Call {
  name: string
  argument: unknown
}

type Answer = { value: unknown } | { error: string }

/** In the process that was started: does what the other asks. */
export function serve(handlers: Handlers): void {
  process.on('message', async ({ name, argument }: Call) => {
    let answer: Answer
    try {
      answer = { value: await handlers[name]?.(argument) }
    } catch (error) {
      answer = { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
    }
    process.send?.(answer)
  })
  // So that nothing is left running when the other is killed.
  process.on('disconnect', () => process.exit())
}

/** A process of ours that does one thing at a time. */
export class Remote<H extends Handlers> {
  readonly #child: ChildProcess
  #errors = ''

  /** @param file the module that calls `serve` */
  constructor(file: string) {
    // So that a measurement can begin with the garbage of the one before collected.
    const execArgv = [...process.execArgv, '--expose-gc']
    this.#child = fork(file, { execArgv, stdio: ['ignore', 'ignore', 'pipe', 'ipc'], serialization: 'advanced' })
    this.#child.stderr?.on('data', (chunk) => {
      this.#errors = (this.#errors + String(chunk)).slice(-4000)
    })
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** @throws what the handler threw, or that the process has ended */
  async ask<N extends keyof H & string>(name: N, ...[argument]: Parameters<H[N]>): Promise<Awaited<ReturnType<H[N]>>> {
    if (!this.alive) throw new Error(`the process has ended: ${this.#errors}`)
    const ended = new AbortController()
    const gone = once(this.#child, 'exit', { signal: ended.signal }).then(() => {
      throw new Error(`the process ended during ${name}: ${this.#errors}`)
    })
    const answered = once(this.#child, 'message', { signal: ended.signal })
    this.#child.send({ name, argument } satisfies Call)
    try {
      const [answer] = (await Promise.race([answered, gone])) as [Answer]
      if ('error' in answer) throw new Error(`${name}: ${answer.error}`)
      return answer.value as Awaited<ReturnType<H[N]>>
    } finally {
      ended.abort()
      for (const each of [answered, gone]) each.catch(() => {})
    }
  }

  /** Resolves when the process is gone. */
  async stop(): Promise<void> {
    if (!this.alive) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}
