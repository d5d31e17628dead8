import { setTimeout as sleep } from 'node:timers/promises'

/** The longest pause between two tries, in ms. */
const MAX_PAUSE = 16

/**
 * Whether another connection is in the way, so that the same statement will do later. SQLite has then changed nothing.
 * Covers what a starting or ending process causes for a moment (`SQLITE_BUSY_RECOVERY`, `SQLITE_BUSY_SNAPSHOT`).
 */
export function isBusy(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' && code.startsWith('SQLITE_BUSY')
}

/**
 * Tries again while the database is busy, leaving the event loop free in between: SQLite's own wait would stop the whole
 * process. The pauses are random, so that the processes in each other's way part.
 * @param timeout ms, after which the last try's error is thrown; nothing is tried after that
 */
export async function retryBusy<T>(work: () => T, timeout: number): Promise<T> {
  const deadline = performance.now() + timeout
  for (let longest = 2; ; longest = Math.min(longest * 2, MAX_PAUSE)) {
    await sleep(Math.min(Math.random() * longest, deadline - performance.now()))
    try {
      return work()
    } catch (error) {
      if (!isBusy(error) || performance.now() >= deadline) throw error
    }
  }
}

/** The same for when a database is opened: stops the process meanwhile, which is before it serves anybody. */
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
