import type { Awaitable } from './backend.ts'

export function isPromise<T>(value: Awaitable<T>): value is Promise<T> {
  return typeof (value as Promise<T> | null | undefined)?.then === 'function'
}

/** Does this when the value is there or has failed; a promise costs half of what `finally` would. */
export function whenSettled<T>(value: Promise<T>, task: () => void): Promise<T> {
  return value.then(
    (came) => {
      task()
      return came
    },
    (error) => {
      task()
      throw error
    },
  )
}

/** Goes on with the value: at once if it is there, else when it comes. */
export function andThen<T, U>(value: Awaitable<T>, next: (value: T) => Awaitable<U>): Awaitable<U> {
  return isPromise(value) ? value.then(next) : next(value)
}
