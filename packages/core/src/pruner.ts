/** Runs a task again and again, at a varied interval. The timer does not keep the process alive. */
export class Pruner {
  readonly #task: () => Promise<unknown>
  readonly #interval: number | false
  #timer: NodeJS.Timeout | undefined
  #started = false
  #stopped = false

  /** @param interval ms between two runs, varied by half either way; `false` for never */
  constructor(task: () => Promise<unknown>, interval: number | false) {
    this.#task = task
    this.#interval = interval
  }

  /** Starts the timer at the first call. */
  start(): void {
    if (this.#started || this.#interval === false) return
    this.#started = true
    this.#schedule(this.#interval)
  }

  /** For good; a second call does nothing. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #schedule(interval: number): void {
    if (this.#stopped) return
    const delay = Math.min(interval * (0.5 + Math.random()), 2 ** 31 - 1)
    this.#timer = setTimeout(async () => {
      await this.#task().catch(() => {}) // the task has published its failure
      this.#schedule(interval)
    }, delay)
    this.#timer.unref()
  }
}
