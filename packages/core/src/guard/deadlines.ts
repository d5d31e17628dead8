import { type Limit, moveOn } from './limit.ts'

/** Something that ends at a moment on the clock of `performance.now()`. */
export interface Timed {
  /** When `expire` is called; moves on by the time that the event loop was blocked. */
  due: number
  expire(): void
  /** Called when the event loop was blocked, with how long, in ms. */
  extend(ms: number): void
}

/** The longest pause between two looks at the clock, in ms. */
const TICK = 50
/** From how late a look on the event loop counts as blocked, in ms: then no answer could have been read. */
const BLOCKED = 250
/** A timer this late was lost, as to a fake clock that was taken away again. In ms. */
const LOST = 1000

/**
 * One timer for all deadlines of a process: a timer a call would cost more than the rest of the guard. It keeps the process
 * alive only while something is due.
 *
 * Time in which the event loop stood still is not the server's: its answer may be waiting in the socket, or a handshake
 * may need several turns. So that time is added to every deadline.
 */
class Deadlines {
  readonly #pending = new Set<Timed>()
  #timer: NodeJS.Timeout | undefined
  #nextLook = Number.POSITIVE_INFINITY

  /** How long the event loop has been blocked of which nobody has been told yet, in ms. */
  untold(now: number): number {
    const late = now - this.#nextLook
    return late > BLOCKED ? late : 0
  }

  add(timed: Timed): void {
    const now = performance.now()
    this.#pending.add(timed)
    if (this.#timer === undefined) {
      this.#schedule(now, Math.min(timed.due, now + TICK))
    } else if (timed.due < this.#nextLook || now > this.#nextLook + LOST) {
      this.#schedule(now, Math.min(timed.due, this.#nextLook))
    } else if (this.#pending.size === 1) {
      this.#timer.ref()
    }
  }

  delete(timed: Timed): void {
    if (this.#pending.delete(timed) && this.#pending.size === 0) this.#timer?.unref()
  }

  #schedule(now: number, at: number): void {
    clearTimeout(this.#timer)
    this.#nextLook = at
    this.#timer = setTimeout(() => this.#look(), Math.max(0, at - now))
  }

  #look(): void {
    const now = performance.now()
    const blocked = now - this.#nextLook
    this.#timer = undefined
    this.#nextLook = Number.POSITIVE_INFINITY
    if (blocked > BLOCKED) for (const timed of this.#pending) timed.extend(blocked)
    // A timer comes before what the sockets hold: let that in first.
    setImmediate(() => this.#expire(now))
    if (this.#pending.size > 0) this.#schedule(now, now + TICK)
  }

  /** @param now when the clock was looked at: a block since then is for the next look, which moves the deadlines on */
  #expire(now: number): void {
    let next = now + TICK
    for (const timed of this.#pending) {
      if (timed.due <= now) {
        this.#pending.delete(timed)
        timed.expire()
      } else if (timed.due < next) next = timed.due
    }
    if (this.#pending.size > 0 && next < this.#nextLook) this.#schedule(now, next)
    else if (this.#pending.size === 0) this.#timer?.unref()
  }
}

export const deadlines = new Deadlines()

/**
 * The promise's outcome, unless the deadline comes first.
 * @param late makes the error to reject with then
 */
export function byDeadline<T>(promise: Promise<T>, limit: Limit, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timed: Timed = {
      due: limit.deadline,
      expire: () => reject(late()),
      extend: (ms) => {
        timed.due += ms
        moveOn(limit, timed.due)
      },
    }
    deadlines.add(timed)
    promise.then(resolve, reject).finally(() => deadlines.delete(timed))
  })
}
