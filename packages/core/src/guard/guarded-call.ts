import type { Call, Verb, Work } from '../call.ts'
import { deadlines, type Timed } from './deadlines.ts'
import { type Limit, moveOn } from './limit.ts'

/** What a call reports to when its time is up. Must reject it. */
export interface CallOwner {
  onExpired(call: GuardedCall): void
}

/** The verbs whose first argument is the key of a record. */
const KEYED: ReadonlySet<Verb> = new Set(['read', 'write', 'insert', 'replace', 'touch', 'remove'])

/** How many blocks of the event loop move a deadline on: where it is blocked all the time, a call still ends. */
const MAX_EXTENSIONS = 8

/** One call of a backend's verb, with all that is needed to send it again. */
export class GuardedCall implements Call, Work, Timed {
  readonly verb: Verb
  readonly args: readonly unknown[]
  readonly now: number
  deadline: number
  /** When to give up: at the deadline, or earlier while the server is thought to be down. */
  due: number
  attempt = 1
  /** When it was sent first, and last, on the clock of `performance.now()`; 0 for not yet. */
  firstSentAt = 0
  sentAt = 0
  /** Why there is no answer yet. */
  reason: unknown
  /** Whether that reason is the call's own and says nothing about the server. */
  isAlone = false
  isSettled = false
  readonly #owner: CallOwner
  readonly #limit: Limit
  #promise: Promise<unknown> | undefined
  #resolve: ((value: unknown) => void) | undefined
  #reject: ((reason: unknown) => void) | undefined
  #controller: AbortController | undefined
  #isRejected = false
  /** Usually one at most. */
  #listeners: Array<() => void> | undefined
  #extensions = 0

  constructor(owner: CallOwner, verb: Verb, args: readonly unknown[], now: number, limit: Limit) {
    this.#owner = owner
    this.verb = verb
    this.args = args
    this.now = now
    this.#limit = limit
    this.deadline = limit.deadline
    this.due = limit.deadline
  }

  get key(): string | undefined {
    return KEYED.has(this.verb) ? (this.args[0] as string) : undefined
  }

  set batchSize(size: number) {
    this.#limit.batchSize = size
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#isRejected) this.#controller.abort()
    return this.#controller.signal
  }

  get isOver(): boolean {
    return this.#isRejected
  }

  watch(listener: () => void): void {
    if (this.#listeners) this.#listeners.push(listener)
    else this.#listeners = [listener]
  }

  unwatch(listener: () => void): void {
    const listeners = this.#listeners
    if (listeners?.[0] === listener && listeners.length === 1) this.#listeners = undefined
    else this.#listeners = listeners?.filter((each) => each !== listener)
  }

  note(reason: unknown): void {
    this.reason = reason
  }

  /** The caller's promise. From the first time on, the deadline is watched. */
  wait(): Promise<unknown> {
    this.#promise ??= new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      deadlines.add(this)
    })
    return this.#promise
  }

  resolve(value: unknown): void {
    this.#settle()
    this.#resolve?.(value)
  }

  reject(reason: unknown): void {
    this.#settle()
    this.#isRejected = true
    this.#controller?.abort()
    for (const listener of this.#listeners ?? []) listener()
    this.#reject?.(reason)
  }

  expire(): void {
    if (!this.isSettled) this.#owner.onExpired(this)
  }

  extend(ms: number): void {
    this.#extensions += 1
    if (this.#extensions > MAX_EXTENSIONS) return
    this.deadline += ms
    this.due += ms
    // As if it had been sent later: the server was not slow.
    this.sentAt += ms
    if (this.firstSentAt > 0) this.firstSentAt += ms
    moveOn(this.#limit, this.deadline)
  }

  #settle(): void {
    this.isSettled = true
    deadlines.delete(this)
  }
}
