import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, resolve } from 'node:path'
import { createInterface } from 'node:readline'

/** A Node process that runs a script in its folder, and talks with the test in lines. It dies with the test process. */
export class Worker {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  #errors = ''

  /** @param script of this folder, or its path */
  constructor(script: string, ...args: string[]) {
    const path = resolve(import.meta.dirname, script)
    const flags = process.features.typescript ? [] : ['--experimental-strip-types']
    const command = [...flags, path, ...args]
    const child = spawn(process.execPath, command, {
      stdio: ['pipe', 'pipe', 'pipe'],
      cwd: dirname(path),
      env: { ...process.env, NODE_PATH: '' }, // by which pnpm lets its commands find packages that are not installed here
    })
    child.stderr.on('data', (chunk) => {
      this.#errors += chunk
    })
    child.stdin.on('error', () => {}) // it was killed
    this.#child = child
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    running.add(child)
    child.on('exit', () => running.delete(child))
  }

  send(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  /** What it prints next; undefined when it has ended. */
  async next(): Promise<string | undefined> {
    const { value } = await this.#lines.next()
    return value
  }

  async expect(line: string): Promise<void> {
    const got = await this.next()
    if (got !== line) throw new Error(`the process was to print ${line}, and printed ${got}: ${this.#errors}`)
  }

  /** What is left of its output, once it has ended. */
  async rest(): Promise<string[]> {
    const lines: string[] = []
    for (let line = await this.next(); line !== undefined; line = await this.next()) lines.push(line)
    return lines
  }

  /** Everything it prints, after it has ended well by itself. */
  async output(): Promise<string[]> {
    const ended = this.#ended()
    const lines = await this.rest()
    const code = await ended
    if (code !== 0) throw new Error(`the process ended with ${code}: ${this.#errors}`)
    return lines
  }

  async kill(): Promise<void> {
    const ended = this.#ended()
    this.#child.kill('SIGKILL')
    await ended
  }

  async #ended(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit')
    return this.#child.exitCode
  }
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
