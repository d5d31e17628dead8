import type { Awaitable } from './backend.ts'
import { isStoreError, SessionStoreUnavailable } from './errors.ts'

/** How long a request waits for a server that is thought to be down to prove the opposite, in ms. */
const PATIENCE = 30

/**
 * Stands between the store and its backend: every call ends by its deadline, and every failure is a 503.
 *
 * Once a call has run into its deadline, the server is thought to be down. Further calls then wait only a moment for a
 * ping to answer, and fail if it does not; so an outage costs one deadline, not one a call, and the first call
 * after the server's return goes through.
 */
export class Guard {
  readonly #name: string
  readonly #ping: () => Awaitable<unknown>
  readonly #timeout: number
  #down = false
  #probe: Promise<boolean> | undefined

  /** @param timeout ms */
  constructor(name: string, ping: () => Awaitable<unknown>, timeout: number) {
    this.#name = name
    this.#ping = ping
    this.#timeout = timeout
  }

  /** The moment by which a call that begins now ends, on the clock of `performance.now()`. */
  deadline(timeout = this.#timeout): number {
    return performance.now() + timeout
  }

  /** Runs one backend call. What the call answers at once is answered at once. */
  call<T>(deadline: number, fn: () => Awaitable<T>): Awaitable<T> {
    if (this.#down) return this.#callWhenUp(deadline, fn)
    return this.#attempt(deadline, fn)
  }

  /** Waits for something of our own making, such as a turn in a queue, by the same deadline. */
  wait<T>(deadline: number, promise: Promise<T>): Promise<T> {
    return this.#byDeadline(deadline, promise, () => {})
  }

  async #callWhenUp<T>(deadline: number, fn: () => Awaitable<T>): Promise<T> {
    this.#probe ??= this.#startProbe()
    let timer: NodeJS.Timeout | undefined
    const impatience = new Promise<false>((resolve) => {
      timer = setTimeout(resolve, Math.min(PATIENCE, remaining(deadline)), false)
    })
    const up = await Promise.race([this.#probe, impatience])
    clearTimeout(timer)
    if (!up) throw new SessionStoreUnavailable(this.#name, 'it does not answer')
    return this.#attempt(deadline, fn)
  }

  #attempt<T>(deadline: number, fn: () => Awaitable<T>): Awaitable<T> {
    let answer: Awaitable<T>
    try {
      answer = fn()
    } catch (error) {
      throw this.#wrapped(error)
    }
    if (!isPromise(answer)) return answer
    return this.#byDeadline(deadline, answer, () => {
      this.#down = true
      this.#probe ??= this.#startProbe()
    })
  }

  #byDeadline<T>(deadline: number, promise: Promise<T>, onTimeout: () => void): Promise<T> {
    return new Promise((resolve, reject) => {
      let settled = false
      const expire = () => {
        if (settled) return
        onTimeout()
        reject(new SessionStoreUnavailable(this.#name, 'no answer in time'))
      }
      // After a stall of the event loop the timer comes first, though the answer may be waiting in the socket: let it in.
      const timer = setTimeout(() => setImmediate(expire), remaining(deadline))
      promise.then(
        (value) => {
          settled = true
          clearTimeout(timer)
          resolve(value)
        },
        (error) => {
          settled = true
          clearTimeout(timer)
          reject(this.#wrapped(error))
        },
      )
    })
  }

  /** Resolves to whether the server answered; never rejects. One at a time, given up after the timeout. */
  #startProbe(): Promise<boolean> {
    const answered = async () => {
      await this.#ping()
      return true
    }
    return this.#byDeadline(this.deadline(), answered(), () => {})
      .catch(() => false)
      .then((up) => {
        if (up) this.#down = false
        this.#probe = undefined
        return up
      })
  }

  #wrapped(error: unknown): Error {
    if (isStoreError(error)) return error
    return new SessionStoreUnavailable(this.#name, 'the operation failed', {
      cause: error,
    })
  }
}

/** In ms, never negative: Node warns of that. */
function remaining(deadline: number): number {
  return Math.max(0, deadline - performance.now())
}

function isPromise<T>(value: Awaitable<T>): value is Promise<T> {
  return typeof (value as Promise<T> | null | undefined)?.then === 'function'
}
