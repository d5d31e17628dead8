import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { Awaitable } from '@session-stores/core'

/** How long to try at every turn of the event loop, in ms: most writes of other processes take less. */
const EAGER = 2
/** After that, the longest pause between two tries, in ms. */
const MAX_PAUSE = 16
/** How long those who wait are served at one turn of the event loop once the database is free, in ms. */
const TURN = 2
/** The part of the timeout after which the last try is made: so that the caller, who waits as long, hears the reason. */
const LAST_TRY = 0.95
/** How long a statement waits after one has waited in vain, in ms. */
const SHORT_TIMEOUT = 30

/**
 * Whether another connection is in the way, so that the same statement will do later. SQLite has then changed nothing.
 * Covers what a starting or ending process causes for a moment (`SQLITE_BUSY_RECOVERY`, `SQLITE_BUSY_SNAPSHOT`).
 */
function isBusy(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' && code.startsWith('SQLITE_BUSY')
}

/** A statement that found the database busy. */
interface Waiter {
  /** @throws what the statement throws */
  run(): void
  fail(reason: unknown): void
  /** When it is given up if it fails once more, and when it is not even tried: on the clock of `performance.now()`. */
  lastTry: number
  end: number
}

/**
 * Runs statements, and those that find the database busy again and again, leaving the event loop free in between:
 * SQLite's own wait would stop the whole process.
 *
 * Of those that wait only the first one tries again, and when it gets through the others follow: they are after the same
 * lock, and hundreds that each go on trying would leave the event loop no time either.
 *
 * When one has waited in vain, the next ones wait only for a moment until one gets through, so that a lock that is held for
 * long costs one timeout and not one a request, and no statement goes on trying for a caller who has been refused.
 */
export class Patience {
  readonly #timeout: number
  readonly #atOnce: <T>(work: () => T) => T
  #waiting: Waiter[] = []
  /** The last error that made one wait. */
  #reason: unknown
  #exhausted = false

  /**
   * @param timeout ms, within which the last try's error is thrown; nothing is tried after that
   * @param atOnce does the work without any wait of SQLite's own: for when the database is known to be busy
   */
  constructor(timeout: number, atOnce: <T>(work: () => T) => T) {
    this.#timeout = timeout
    this.#atOnce = atOnce
  }

  run<T>(work: () => T): Awaitable<T> {
    const busy = this.#exhausted || this.#waiting.length > 0
    try {
      return this.#try(busy ? () => this.#atOnce(work) : work)
    } catch (error) {
      if (!isBusy(error)) throw error
      this.#reason = error
      return this.#wait(work)
    }
  }

  #wait<T>(work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const timeout = this.#exhausted ? Math.min(SHORT_TIMEOUT, this.#timeout) : this.#timeout
      const now = performance.now()
      this.#waiting.push({
        run: () => resolve(this.#try(() => this.#atOnce(work))),
        fail: reject,
        lastTry: now + timeout * LAST_TRY,
        end: now + timeout,
      })
      if (this.#waiting.length === 1) void this.#serve()
    })
  }

  /** Tries until nobody waits any more. */
  async #serve(): Promise<void> {
    let busySince = performance.now()
    while (this.#waiting.length > 0) {
      if (performance.now() - busySince < EAGER) await nextTurn()
      else await sleep(this.#pause())
      const now = performance.now()
      this.#giveUp(({ end }) => end <= now)
      const first = this.#waiting[0]
      const busy = this.#runUntil(now + TURN)
      if (this.#waiting[0] !== first) busySince = performance.now()
      if (busy) this.#giveUp(({ lastTry }) => lastTry <= now)
    }
  }

  /** Random, so that processes in each other's way part. */
  #pause(): number {
    const lastTry = this.#waiting.reduce((least, waiter) => Math.min(least, waiter.lastTry), Number.POSITIVE_INFINITY)
    return Math.max(0, Math.min(Math.random() * MAX_PAUSE, lastTry - performance.now()))
  }

  /** Whether the database was busy again. */
  #runUntil(end: number): boolean {
    for (let waiter = this.#waiting[0]; waiter && performance.now() < end; waiter = this.#waiting[0]) {
      try {
        waiter.run()
      } catch (error) {
        if (isBusy(error)) {
          this.#reason = error
          return true
        }
        waiter.fail(error)
      }
      this.#waiting.shift()
    }
    return false
  }

  #giveUp(isLate: (waiter: Waiter) => boolean): void {
    const late = this.#waiting.filter(isLate)
    if (late.length === 0) return
    this.#exhausted = true
    this.#waiting = this.#waiting.filter((waiter) => !isLate(waiter))
    for (const waiter of late) waiter.fail(this.#reason)
  }

  #try<T>(work: () => T): T {
    const result = work()
    this.#exhausted = false
    return result
  }
}

/** For when a database is opened: stops the process while it waits, which is before it serves anybody. */
export function retryBusySync<T>(work: () => T, timeout: number): T {
  const deadline = performance.now() + timeout
  for (;;) {
    try {
      return work()
    } catch (error) {
      if (!isBusy(error) || performance.now() >= deadline) throw error
      Atomics.wait(nothing, 0, 0, 1 + Math.random() * MAX_PAUSE)
    }
  }
}

const nothing = new Int32Array(new SharedArrayBuffer(4))
