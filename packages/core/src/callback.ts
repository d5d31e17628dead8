export type Callback<T> = (error: unknown, value?: T) => void

/**
 * Hands a promise's outcome to the callback, exactly once and on a later tick. Outside the promise chain: what the
 * callback throws is its own affair, and does not call it again.
 * Without a callback the promise itself is the answer.
 */
export function settle<T>(promise: Promise<T>, callback: Callback<T> | undefined): Promise<T> | undefined {
  if (callback === undefined) return promise
  promise.then(
    (value) => process.nextTick(callback, null, value),
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
