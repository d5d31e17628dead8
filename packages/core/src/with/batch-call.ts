import type { Call } from '../call.ts'

/** The call of a batch: it ends when the last of its members does. */
export class BatchCall implements Call {
  readonly now: number
  readonly attempt = 1
  readonly #calls: Call[]
  #controller: AbortController | undefined

  /** @param calls of the members, at least one */
  constructor(calls: Call[]) {
    this.#calls = calls
    this.now = (calls[0] as Call).now
  }

  get deadline(): number {
    return this.#calls.reduce((latest, { deadline }) => Math.max(latest, deadline), 0)
  }

  get signal(): AbortSignal {
    this.#controller ??= this.#abortedWithLast()
    return this.#controller.signal
  }

  note(reason: unknown): void {
    for (const call of this.#calls) call.note(reason)
  }

  #abortedWithLast(): AbortController {
    const controller = new AbortController()
    let left = this.#calls.length
    const onAbort = () => {
      left -= 1
      if (left === 0) controller.abort()
    }
    for (const { signal } of this.#calls) {
      if (signal.aborted) onAbort()
      else signal.addEventListener('abort', onAbort, { once: true })
    }
    return controller
  }
}
