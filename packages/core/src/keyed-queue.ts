import { isPromise, whenSettled } from './awaitable.ts'
import type { Awaitable, StoredRecord } from './backend.ts'

/** What the writers of one session that are under way in this process have in common. */
export class Writers {
  /** What the server holds, as the last of them left it: the next one need not ask. */
  latest: StoredRecord | undefined
  readonly waiting: Array<() => void> = []
}

/**
 * A queue per key: the writers of one session take turns inside this process, in order of arrival. The server would keep
 * them from overwriting each other, but each round of that costs every loser another read.
 */
export class KeyedQueue {
  readonly #writers = new Map<string, Writers>()

  /**
   * Runs `task` when its turn comes: at once when nobody is before it.
   * @param wait bounds the waiting: when it rejects, so does this, and the turn is passed on when it comes
   */
  run<T>(
    key: string,
    wait: (turn: Promise<void>) => Promise<void>,
    task: (writers: Writers) => Awaitable<T>,
  ): Awaitable<T> {
    const writers = this.#writers.get(key)
    if (writers !== undefined) return this.#runInTurn(key, writers, wait, task)
    const first = new Writers()
    this.#writers.set(key, first)
    return this.#runNow(key, first, task)
  }

  async #runInTurn<T>(
    key: string,
    writers: Writers,
    wait: (turn: Promise<void>) => Promise<void>,
    task: (writers: Writers) => Awaitable<T>,
  ): Promise<T> {
    const turn = new Promise<void>((resolve) => writers.waiting.push(resolve))
    try {
      await wait(turn)
    } catch (error) {
      void turn.then(() => this.#leave(key))
      throw error
    }
    return this.#runNow(key, writers, task)
  }

  #runNow<T>(key: string, writers: Writers, task: (writers: Writers) => Awaitable<T>): Awaitable<T> {
    let answer: Awaitable<T>
    try {
      answer = task(writers)
    } catch (error) {
      this.#leave(key)
      throw error
    }
    if (isPromise(answer)) return whenSettled(answer, () => this.#leave(key))
    this.#leave(key)
    return answer
  }

  #leave(key: string): void {
    const next = this.#writers.get(key)?.waiting.shift()
    if (next === undefined) this.#writers.delete(key)
    else next()
  }
}
