import { setTimeout as sleep } from 'node:timers/promises'
import type { Awaitable } from './backend.ts'
import { isStoreError, SessionStoreUnavailable } from './errors.ts'

/** How long a call waits for a server that is thought to be down to prove the opposite, in ms; longer if it is far away. */
const PATIENCE = 250
/** The same just after the server went down, when the caller may be a request that has waited for its deadline already. */
const SHORT_PATIENCE = 30
/** How long "just after" is, in ms. */
const JUST_NOW = 100
/** The pause between two pings of such a server, in ms: shorter than any patience, so that a call waits for one at least. */
const PING_PAUSE = 20
/** The least time a ping has to be answered, in ms. */
const LEAST_PING_TIMEOUT = 100

/**
 * Stands between the store and its backend: every call ends by its deadline, and every failure is a 503.
 *
 * Once a call has run into its deadline, the server is thought to be down until it answers a ping, of which there is always
 * one under way. Other calls meanwhile wait only a moment for that, and then fail: so an outage costs one deadline,
 * not one a call, and the first call after the server's return goes through.
 */
export class Guard {
  readonly #name: string
  readonly #ping: () => Awaitable<unknown>
  readonly #timeout: number
  #down = false
  /** On the clock of `performance.now()`. */
  #downSince = 0
  #closed = false
  /** How long the last answer in time took, in ms. */
  #usual = 0
  /** The calls that wait for the server to be up. */
  readonly #waiting = new Set<() => void>()

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

  /** Runs one backend call. What the backend answers at once is answered at once. */
  call<T>(deadline: number, fn: () => Awaitable<T>): Awaitable<T> {
    return this.#down ? this.#callWhenUp(deadline, fn) : this.#attempt(deadline, fn)
  }

  /** Waits for something of our own making, such as a turn in a queue, by the same deadline. */
  wait<T>(deadline: number, promise: Promise<T>): Promise<T> {
    return this.#byDeadline(deadline, promise, () => {})
  }

  /** Stops pinging. */
  close(): void {
    this.#closed = true
  }

  async #callWhenUp<T>(deadline: number, fn: () => Awaitable<T>): Promise<T> {
    const least = performance.now() - this.#downSince < JUST_NOW ? SHORT_PATIENCE : PATIENCE
    const patience = Math.min(Math.max(least, 3 * this.#usual), remaining(deadline))
    const up = await new Promise<boolean>((resolve) => {
      const isUp = () => {
        clearTimeout(timer)
        resolve(true)
      }
      const giveUp = () => {
        this.#waiting.delete(isUp)
        resolve(false)
      }
      const timer = setTimeout(() => setImmediate(giveUp), patience)
      this.#waiting.add(isUp)
    })
    if (!up) throw new SessionStoreUnavailable(this.#name, 'it does not answer')
    return this.#attempt(deadline, fn)
  }

  #attempt<T>(deadline: number, fn: () => Awaitable<T>): Awaitable<T> {
    const begun = performance.now()
    if (begun >= deadline) throw this.#tooLate()
    let answer: Awaitable<T>
    try {
      answer = fn()
    } catch (error) {
      throw this.#wrapped(error)
    }
    if (!isPromise(answer)) return answer
    return this.#byDeadline(
      deadline,
      answer,
      () => {
        // A call that had waited elsewhere for most of its time says nothing about the server.
        if (performance.now() - begun >= this.#timeout / 2) this.#goDown()
      },
      () => {
        this.#usual = performance.now() - begun
      },
    )
  }

  #byDeadline<T>(deadline: number, promise: Promise<T>, onTimeout: () => void, onAnswer = () => {}): Promise<T> {
    return new Promise((resolve, reject) => {
      let settled = false
      const expire = () => {
        if (settled) return
        settled = true
        onTimeout()
        reject(this.#tooLate())
      }
      // After a stall of the event loop the timer comes first, though the answer may be waiting in the socket: let it in.
      const timer = setTimeout(() => setImmediate(expire), remaining(deadline))
      const settle = (inTime: () => void) => {
        if (settled) return
        settled = true
        clearTimeout(timer)
        inTime()
      }
      promise.then(
        (value) =>
          settle(() => {
            onAnswer()
            resolve(value)
          }),
        (error) => settle(() => reject(this.#wrapped(error))),
      )
    })
  }

  #goDown(): void {
    if (this.#down) return
    this.#down = true
    this.#downSince = performance.now()
    void this.#pingUntilUp()
  }

  async #pingUntilUp(): Promise<void> {
    while (!this.#closed && !(await this.#isUp())) await sleep(PING_PAUSE, undefined, { ref: false })
    this.#down = false
    for (const isUp of this.#waiting) isUp()
    this.#waiting.clear()
  }

  /** Asks once. Gives up early, for a ping may be lost while the next one would be answered. Never rejects. */
  async #isUp(): Promise<boolean> {
    const answered = async () => {
      await this.#ping()
      return true
    }
    const deadline = this.deadline(Math.max(LEAST_PING_TIMEOUT, this.#timeout / 4))
    return this.#byDeadline(deadline, answered(), () => {}).catch(() => false)
  }

  #tooLate(): Error {
    return new SessionStoreUnavailable(this.#name, 'no answer in time')
  }

  #wrapped(error: unknown): Error {
    if (isStoreError(error)) return error
    return new SessionStoreUnavailable(this.#name, 'the operation failed', { cause: error })
  }
}

/** In ms, never negative: Node warns of that. */
function remaining(deadline: number): number {
  return Math.max(0, deadline - performance.now())
}

function isPromise<T>(value: Awaitable<T>): value is Promise<T> {
  return typeof (value as Promise<T> | null | undefined)?.then === 'function'
}
