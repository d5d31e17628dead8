import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { GuardedCall } from './guarded-call.ts'

/** How long a call waits for a server that is thought to be down to prove the opposite, in ms; longer if it is far away. */
const OPEN_WAIT = 250
/** The same just after the circuit opened, or when pings fail at once. In ms. */
const SHORT_OPEN_WAIT = 30
/** How long "just after" is, in ms. */
const JUST_NOW = 100
/** The pause between two pings, in ms: short, so that a call that waits sees the answer of at least one. */
const PING_PAUSE = 20
/** When a ping is repeated that got no answer, in ms, or a quarter of the timeout if that is longer. */
const LEAST_PING_TIMEOUT = 100
/** How long the first call in line is sent again at every turn of the event loop, in ms: most locks are short. */
const EAGER = 2
/** After that, the longest pause between two attempts, in ms. */
const MAX_PAUSE = 16
/** How long calls that waited are sent at one turn of the event loop, in ms. */
const SLICE = 2

export interface CircuitOwner {
  /** ms */
  readonly timeout: number
  /** How long the server usually takes to answer, in ms. */
  readonly usual: number
  /** Sends a waiting call; answers `'again'` when it failed and may be sent again, else `'passed'`. Never rejects. */
  send(call: GuardedCall): Outcome | Promise<Outcome>
  /** A ping of the part that `call` is for, which ends after `timeout`. */
  ping(call: GuardedCall): Promise<void>
  /** The circuit is closed, and nobody waits. */
  onIdle(part: string): void
  onOpened(part: string): void
  /** Once for each `onOpened`. @param duration how long it was open, in ms */
  onClosed(part: string, duration: number): void
}

export type Outcome = 'passed' | 'again'

/**
 * The circuit breaker of one part of the server, and the calls that wait for that part.
 *
 * Closed, with calls waiting: each of them failed in a way that may pass. Only the first in line is sent again and again;
 * once it gets through, the others follow. Hundreds that each tried for themselves would block the event loop.
 *
 * Open: a call has waited for its whole time in vain. New calls wait only a moment for the pings that go on all the time,
 * and then fail: an outage costs one timeout, not one a call. The first answer closes the circuit.
 */
export class Circuit {
  isOpen = false
  /** Why the server is thought to be down. */
  reason: unknown
  readonly #owner: CircuitOwner
  readonly #part: string
  #openedAt = 0
  /** How long the last ping took that failed at once, in ms; undefined when it got no answer. */
  #failedWithin: number | undefined
  #waiting: GuardedCall[] = []
  /** The loop that serves the line; another one begins when the circuit has been open in between. */
  #serving: symbol | undefined
  #isOver = false

  constructor(owner: CircuitOwner, part: string) {
    this.#owner = owner
    this.#part = part
  }

  /** For a call that was sent and may be sent again. */
  retry(call: GuardedCall): void {
    this.#waiting.push(call)
    if (!this.isOpen) void this.#serve()
  }

  /** For a new call while the circuit is open. */
  enter(call: GuardedCall): Promise<unknown> {
    const short = performance.now() - this.#openedAt < JUST_NOW || this.#failedWithin !== undefined
    // At most so much for pings that fail: one may fail only when its connection is given up, long after it was sent.
    const pinging = Math.min(3 * (this.#failedWithin ?? 0), OPEN_WAIT)
    const wait = Math.max(short ? SHORT_OPEN_WAIT : OPEN_WAIT, 3 * this.#owner.usual, pinging)
    call.due = Math.min(performance.now() + wait, call.deadline)
    this.#waiting.push(call)
    return call.wait()
  }

  /** @param call the call that waited in vain */
  open(call: GuardedCall): void {
    this.reason = call.reason
    if (this.isOpen || this.#isOver) return
    this.isOpen = true
    this.#openedAt = performance.now()
    this.#failedWithin = undefined
    this.#serving = undefined
    this.#owner.onOpened(this.#part)
    void this.#pingUntilAnswered(call)
  }

  /** Stops pinging. Whoever still waits does so until its time is up. */
  end(): void {
    this.#isOver = true
    if (!this.isOpen) return
    this.isOpen = false
    this.#owner.onClosed(this.#part, performance.now() - this.#openedAt)
  }

  async #pingUntilAnswered(call: GuardedCall): Promise<void> {
    const openedAt = this.#openedAt
    while (this.isOpen && this.#openedAt === openedAt) {
      await this.#ping(call)
      if (this.isOpen) await sleep(PING_PAUSE, undefined, { ref: false })
    }
  }

  /** Asks once. A ping without an answer goes on while the next one is sent: an answer from far away counts, too. */
  #ping(call: GuardedCall): Promise<void> {
    return new Promise((resolve) => {
      const begun = performance.now()
      const isLate = () => {
        this.#failedWithin = undefined
        resolve()
      }
      const timer = setTimeout(isLate, Math.max(LEAST_PING_TIMEOUT, this.#owner.timeout / 4)).unref()
      const onAnswer = () => {
        clearTimeout(timer)
        this.#close()
        resolve()
      }
      const onFailure = () => {
        clearTimeout(timer)
        this.#failedWithin = performance.now() - begun
        resolve()
      }
      this.#owner.ping(call).then(onAnswer, onFailure)
    })
  }

  #close(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.#owner.onClosed(this.#part, performance.now() - this.#openedAt)
    void this.#serve(true)
  }

  /** Sends the calls in line until none waits or the circuit opens. */
  async #serve(isUp = false): Promise<void> {
    if (this.#serving !== undefined) return
    const serving = Symbol()
    this.#serving = serving
    let busySince = performance.now()
    if (isUp) await this.#sendAll()
    while (this.#serving === serving && this.#waiting.length > 0) {
      if (performance.now() - busySince < EAGER) await nextTurn()
      else await sleep(Math.random() * MAX_PAUSE, undefined, { ref: false }) // random, so that processes part
      if (this.#serving !== serving) return
      const first = this.#next()
      if (first === undefined) break
      const outcome = await this.#owner.send(first)
      if (outcome === 'again' && !first.isSettled) this.#waiting.unshift(first)
      if (this.#serving !== serving) return // it has opened meanwhile, and others wait only a moment
      if (outcome === 'again') continue
      await this.#sendAll()
      busySince = performance.now()
    }
    if (this.#serving !== serving) return
    this.#serving = undefined
    if (!this.isOpen && this.#waiting.length === 0) this.#owner.onIdle(this.#part)
  }

  /** Sends all that wait, a slice at each turn of the event loop, until one has to wait again. */
  async #sendAll(): Promise<void> {
    let end = performance.now() + SLICE
    for (const call of this.#waiting) call.due = call.deadline
    // Only those that are there now: who fails joins the line again.
    for (let left = this.#waiting.length; left > 0 && !this.isOpen; left -= 1) {
      const call = this.#next()
      if (call === undefined) return
      const outcome = this.#owner.send(call)
      if (outcome === 'again') {
        this.#waiting.unshift(call)
        return
      }
      if (outcome !== 'passed') void outcome.then((came) => came === 'again' && !call.isSettled && this.retry(call))
      if (performance.now() < end) continue
      await nextTurn()
      end = performance.now() + SLICE
    }
  }

  #next(): GuardedCall | undefined {
    for (;;) {
      const call = this.#waiting.shift()
      if (call === undefined || !call.isSettled) return call
    }
  }
}
