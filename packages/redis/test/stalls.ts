/** Measures for how long this process was not given a processor: on a busy machine, times say little without it. */
export class Stalls {
  /** ms so far */
  total = 0
  #last = performance.now()
  readonly #timer = setInterval(() => {
    const now = performance.now()
    this.total += Math.max(0, now - this.#last - 15)
    this.#last = now
  }, 10)

  stop(): void {
    clearInterval(this.#timer)
  }
}
