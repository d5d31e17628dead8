import { setTimeout as sleep } from 'node:timers/promises'
import { isPromise } from '../awaitable.ts'
import type { Awaitable, Backend } from '../backend.ts'
import { TryAgain, type Verb } from '../call.ts'
import { type BackMessage, backChannel, type DownMessage, downChannel, type StoreIdentity } from '../diagnostics.ts'
import { isStoreError, SessionStoreUnavailable } from '../errors.ts'
import { keyOf } from '../key.ts'
import { Circuit, type CircuitOwner, type Outcome } from './circuit.ts'
import { byDeadline, deadlines } from './deadlines.ts'
import { type CallOwner, GuardedCall } from './guarded-call.ts'
import type { Limit } from './limit.ts'
import { scrubbed, secretsOf } from './scrub.ts'

/** The least time that a call gets of a request that has waited for its whole time already, in ms. */
const LEAST_TIME = 250
/** How many times the usual time a call may take at least. */
const ROOM = 4
/** The longest pause before a call is sent again that lost against another one, in ms. */
const MAX_BACKOFF = 64

/** A `Backend` whose verbs are looked up by name. */
type Verbs = Record<Verb, (...args: unknown[]) => Awaitable<unknown>>

/**
 * Stands between the store and its backend: every call ends by its deadline, what may pass is tried again, and every
 * failure is a 503. The one place that knows time.
 */
export class Guard implements CallOwner, CircuitOwner {
  readonly timeout: number
  readonly #backend: Backend
  readonly #now: () => number
  readonly #identity: StoreIdentity
  /** The parts of the server that are in trouble. Usually none. */
  readonly #circuits = new Map<string, Circuit>()
  #usual = 0
  #isClosed = false

  /**
   * @param now the store's clock
   * @param timeout how long a call may take, in ms
   * @param identity for the diagnostics channels
   */
  constructor(backend: Backend, now: () => number, timeout: number, identity: StoreIdentity) {
    this.#backend = backend
    this.#identity = identity
    this.#now = now
    this.timeout = timeout
  }

  get usual(): number {
    return this.#usual
  }

  /**
   * The moment by which a call that begins now ends, on the clock of `performance.now()`.
   * @param waited how long the same request has waited before, in ms: it waits for one timeout in all, but a server that
   * answers gets the time it usually takes
   */
  deadline(waited = 0): number {
    // At most half a timeout: on a server with a queue, what is usual is the queue.
    const least = Math.min(Math.max(LEAST_TIME, Math.min(ROOM * this.#usual, this.timeout / 2)), this.timeout)
    return performance.now() + Math.max(this.timeout - waited, least)
  }

  /**
   * How long an operation has waited so far, in ms, without the time in which the event loop was blocked.
   * @param begun when its deadline was set, on the clock of `performance.now()`
   */
  waited(begun: number, { blocked = 0 }: Limit): number {
    const now = performance.now()
    return Math.max(0, now - begun - blocked - deadlines.untold(now))
  }

  /** Runs one verb of the backend. What the backend answers at once is answered at once. */
  run(verb: Verb, args: readonly unknown[], limit: Limit): Awaitable<unknown> {
    const begun = performance.now()
    const call = new GuardedCall(this, verb, args, this.#now(), limit)
    if (this.#circuits.size > 0) {
      const circuit = this.#circuits.get(this.#partOf(call))
      if (circuit?.isOpen) return circuit.enter(call)
    }
    // After a block that nobody has been told of yet, the call is sent: it will get its time.
    if (begun >= limit.deadline && begun - deadlines.untold(begun) >= limit.deadline)
      throw this.#unavailable('no answer in time', call)
    call.firstSentAt = begun
    call.sentAt = begun
    let answer: Awaitable<unknown>
    try {
      answer = this.#send(call)
    } catch (error) {
      if (!(error instanceof TryAgain)) throw this.#wrapped(error, call)
      const promise = call.wait()
      this.#onFailure(call, error, true)
      return promise
    }
    if (!isPromise(answer)) return answer
    const promise = call.wait()
    answer.then(
      (value) => this.#onAnswer(call, value),
      (error) => this.#onFailure(call, error, true),
    )
    return promise
  }

  /** Waits for something of the store's own, such as a turn in a queue, by the same deadline. */
  wait<T>(promise: Promise<T>, limit: Limit): Promise<T> {
    return byDeadline(promise, limit, () => this.#unavailable('no answer in time'))
  }

  /** Stops pinging, for good. */
  close(): void {
    this.#isClosed = true
    for (const circuit of this.#circuits.values()) circuit.end()
  }

  send(call: GuardedCall): Outcome | Promise<Outcome> {
    if (call.isSettled) return 'passed'
    call.due = call.deadline
    call.isAlone = false
    call.sentAt = performance.now()
    if (call.firstSentAt === 0) call.firstSentAt = call.sentAt
    else call.attempt += 1
    let answer: Awaitable<unknown>
    try {
      answer = this.#send(call)
    } catch (error) {
      return this.#onFailure(call, error, false)
    }
    if (!isPromise(answer)) return this.#onAnswer(call, answer)
    // A call that came while the circuit was open is sent for the first time here, and may join a batch: a bare thenable.
    return Promise.resolve(answer).then(
      (value) => this.#onAnswer(call, value),
      (error) => this.#onFailure(call, error, false),
    )
  }

  async ping(work: { verb: Verb; key: string | undefined }): Promise<void> {
    const begun = performance.now()
    const call = new GuardedCall(this, 'ping', [work], this.#now(), { deadline: begun + this.timeout })
    const timer = setTimeout(() => call.reject(undefined), this.timeout).unref()
    try {
      await (this.#backend.ping ? this.#backend.ping(work, call) : this.#backend.read(keyOf('ping'), call))
      this.#measure(performance.now() - begun)
    } finally {
      clearTimeout(timer)
    }
  }

  onOpened(part: string): void {
    downChannel.publish({ ...this.#identity, part } satisfies DownMessage)
  }

  onClosed(part: string, duration: number): void {
    backChannel.publish({ ...this.#identity, part, duration } satisfies BackMessage)
  }

  onIdle(part: string): void {
    this.#circuits.delete(part)
  }

  onExpired(call: GuardedCall): void {
    if (call.due < call.deadline) {
      const reason = this.#circuits.get(this.#partOf(call))?.reason
      call.reject(this.#unavailable('it does not answer', call, call.reason ?? reason))
      return
    }
    // A call that had waited elsewhere for most of its time says nothing about the server.
    const isSlow = call.firstSentAt > 0 && performance.now() - call.firstSentAt >= this.timeout / 2
    if (isSlow && !call.isAlone) this.#circuitOf(call).open(call)
    call.reject(this.#unavailable('no answer in time', call, call.reason))
  }

  #send(call: GuardedCall): Awaitable<unknown> {
    return (this.#backend as unknown as Verbs)[call.verb](...call.args, call)
  }

  #onAnswer(call: GuardedCall, value: unknown): 'passed' {
    if (call.isSettled) return 'passed'
    if (call.key !== undefined) this.#measure(performance.now() - call.sentAt)
    call.resolve(value)
    return 'passed'
  }

  /** @param joins whether a call that may be sent again joins the line here; else whoever sent it sees to that */
  #onFailure(call: GuardedCall, error: unknown, joins: boolean): Outcome {
    if (call.isSettled) return 'passed'
    if (!(error instanceof TryAgain)) {
      call.reject(this.#wrapped(error, call))
      return 'passed'
    }
    call.reason = error.cause
    call.isAlone = error.alone
    if (error.alone) {
      void this.#sendLater(call)
      return 'passed'
    }
    if (joins) this.#circuitOf(call).retry(call)
    return 'again'
  }

  async #sendLater(call: GuardedCall): Promise<void> {
    await sleep(Math.random() * Math.min(2 ** call.attempt, MAX_BACKOFF), undefined, { ref: false })
    if ((await this.send(call)) === 'again') this.#circuitOf(call).retry(call)
  }

  /** How far away the server is: follows a shorter time at once, and a longer one, which may be a queue, slowly. */
  #measure(took: number): void {
    this.#usual = this.#usual === 0 || took < this.#usual ? took : this.#usual + (took - this.#usual) / 16
  }

  #partOf(work: GuardedCall): string {
    return this.#backend.partOf?.(work) ?? ''
  }

  #circuitOf(call: GuardedCall): Circuit {
    const part = this.#partOf(call)
    let circuit = this.#circuits.get(part)
    if (circuit === undefined) {
      circuit = new Circuit(this, part)
      if (this.#isClosed) circuit.end()
      this.#circuits.set(part, circuit)
    }
    return circuit
  }

  #wrapped(error: unknown, call: GuardedCall): Error {
    return isStoreError(error) ? error : this.#unavailable('the operation failed', call, error)
  }

  #unavailable(what: string, call?: GuardedCall, cause?: unknown): Error {
    const options = cause === undefined ? undefined : { cause: scrubbed(cause, secretsOf(call?.args ?? [])) }
    return new SessionStoreUnavailable(this.#backend.name, what, options)
  }
}
