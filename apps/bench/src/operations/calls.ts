/** How many latencies are kept: enough for a percentile, and few enough to be sorted between measurements. */
const SAMPLES = 2 ** 17

type Done = (error?: unknown) => void

/** What came of some callers that each did one thing after the other. */
export class Calls {
  count = 0
  /** How long they took in all, in ms. */
  duration = 0
  /** When the event loop last turned. */
  #turned = 0
  readonly #latencies = new Float64Array(SAMPLES)

  /**
   * Each caller acts again as soon as it is answered, for as long as `goOn` says. Rejects with the first error.
   * @param goOn is given `performance.now()`
   */
  async run(callers: number, goOn: (now: number) => boolean, act: (caller: number, done: Done) => void): Promise<void> {
    const begun = performance.now()
    this.#turned = begun
    const turn = setInterval(() => {
      this.#turned = performance.now()
    }, 5)
    try {
      await Promise.all(Array.from({ length: callers }, (_, caller) => this.#call(caller, goOn, act)))
    } finally {
      clearInterval(turn)
    }
    this.duration += performance.now() - begun
  }

  /** @returns in µs */
  percentile(share: number): number {
    const sorted = this.#latencies.slice(0, Math.min(this.count, SAMPLES)).sort()
    return 1000 * (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN)
  }

  #call(caller: number, goOn: (now: number) => boolean, act: (caller: number, done: Done) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      // A loop where the store calls back at once, or the stack would overflow.
      const next = () => {
        for (;;) {
          const begun = performance.now()
          if (!goOn(begun)) return resolve()
          // The event loop stands still where all stores call back at once or by a promise: its turn.
          if (begun > this.#turned + 20) {
            setImmediate(next)
            return
          }
          let calling = true
          let answered = false
          act(caller, (error) => {
            if (error) return reject(error)
            this.#latencies[this.count % SAMPLES] = performance.now() - begun
            this.count += 1
            answered = true
            if (!calling) next()
          })
          calling = false
          if (!answered) return
        }
      }
      next()
    })
  }
}
