import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { Awaitable } from '@session-stores/core'

/** How long to try at every turn of the event loop, in ms: most writes of other processes take less. */
const EAGER = 2
/** After that, the longest pause between two tries, in ms. */
const MAX_PAUSE = 16
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

/**
 * Runs statements, and those that find the database busy again and again, leaving the event loop free in between:
 * SQLite's own wait would stop the whole process.
 *
 * When one has waited in vain, the next ones wait only for a moment until one gets through, so that a lock that is held for
 * long costs one timeout and not one a request, and no statement goes on trying for a caller who has been refused.
 */
export class Patience {
  readonly #timeout: number
  #exhausted = false

  /** @param timeout ms, within which the last try's error is thrown; nothing is tried after that */
  constructor(timeout: number) {
    this.#timeout = timeout
  }

  run<T>(work: () => T): Awaitable<T> {
    try {
      return this.#try(work)
    } catch (error) {
      if (!isBusy(error)) throw error
      return this.#retry(work)
    }
  }

  async #retry<T>(work: () => T): Promise<T> {
    const timeout = this.#exhausted ? Math.min(SHORT_TIMEOUT, this.#timeout) : this.#timeout
    const begun = performance.now()
    const deadline = begun + timeout * LAST_TRY
    for (;;) {
      const now = performance.now()
      if (now - begun < EAGER) await nextTurn()
      // Random, so that processes in each other's way part.
      else await sleep(Math.max(0, Math.min(Math.random() * MAX_PAUSE, deadline - now)))
      try {
        return this.#try(work)
      } catch (error) {
        if (!isBusy(error)) throw error
        if (performance.now() < deadline) continue
        this.#exhausted = true
        throw error
      }
    }
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
