import type { Call } from '../call.ts'

/** The call of a batch: it ends when the last of its members does. */
export class BatchCall implements Call {
  readonly now: number
  readonly attempt = 1
  readonly #calls: Call[]
  #controller: AbortController | undefined
  /** What each of those who watch has the members call. */
  readonly #watching = new Map<() => void, () => void>()

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

  get isOver(): boolean {
    return this.#calls.every(({ isOver }) => isOver)
  }

  watch(listener: () => void): void {
    const onEnd = () => {
      if (this.isOver) listener()
    }
    this.#watching.set(listener, onEnd)
    for (const call of this.#calls) call.watch(onEnd)
  }

  unwatch(listener: () => void): void {
    const onEnd = this.#watching.get(listener)
    this.#watching.delete(listener)
    if (onEnd) for (const call of this.#calls) call.unwatch(onEnd)
  }

  note(reason: unknown): void {
    for (const call of this.#calls) call.note(reason)
  }

  #abortedWithLast(): AbortController {
    const controller = new AbortController()
    if (this.isOver) controller.abort()
    else this.watch(() => controller.abort())
    return controller
  }
}
