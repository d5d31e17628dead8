import { isPromise } from '../awaitable.ts'
import type { Awaitable } from '../backend.ts'

export type Callback<T> = (error: unknown, value?: T) => void

/**
 * Does the work and hands its outcome to the callback, exactly once and never inside a `try` or a promise chain: what the
 * callback throws is its own affair. An answer that needs no waiting is handed over at once, as the plugin's own store does:
 * while a save is pending, Fastify takes a handler that did not return its reply for one that has not answered yet.
 * Without a callback, the answer is a promise.
 */
export function answer<T>(work: () => Awaitable<T>, callback: Callback<T> | undefined): Promise<T> | undefined {
  let value: Awaitable<T>
  try {
    value = work()
  } catch (error) {
    if (callback === undefined) return Promise.reject(error)
    callback(error)
    return undefined
  }
  if (callback === undefined) return Promise.resolve(value)
  if (!isPromise(value)) {
    callback(null, value)
    return undefined
  }
  value.then(
    (came) => process.nextTick(callback, null, came),
    (error) => process.nextTick(callback, error),
  )
  return undefined
}

/** @throws TypeError when it is neither a function nor left out */
export function checkCallback(callback: unknown): void {
  if (callback !== undefined && typeof callback !== 'function') {
    throw new TypeError('the callback must be a function; leave it out to get a promise')
  }
}
