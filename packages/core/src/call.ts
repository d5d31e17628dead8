/**
 * What a backend is told about the call it serves; the same for every attempt of one call. Core owns time: it stops
 * waiting at the deadline, tries again, and notices outages. A backend starts no timers and measures nothing.
 */
export interface Call {
  /** The store's clock when the call began, in ms since the epoch. The only clock a backend uses. */
  readonly now: number
  /** When core stops waiting, on the clock of `performance.now()`. Moves on by the time that the event loop was blocked. */
  readonly deadline: number
  /** Aborted when core stops waiting: cancel what is under way and release what it holds. Made when first asked for. */
  readonly signal: AbortSignal
  /** Whether core has stopped waiting: as `signal.aborted`, without making one. */
  readonly isOver: boolean
  /**
   * Has the listener called when core stops waiting, as `signal` would for a tenth of the cost: for what each call needs.
   * Where that has happened already, it is not called.
   */
  watch(listener: () => void): void
  /** Takes the listener back. */
  unwatch(listener: () => void): void
  /** 1 for the first attempt; one more each time a `TryAgain` was thrown. */
  readonly attempt: number
  /** Says why there is no answer yet. The last reason becomes the `cause` of the error if time runs out. */
  note(reason: unknown): void
  /** Filled in by core: how many calls went to the server together with this one. */
  batchSize?: number | undefined
}

/** The verbs that core retries and guards. */
export type Verb =
  | 'read'
  | 'write'
  | 'replace'
  | 'touch'
  | 'remove'
  | 'insert'
  | 'prune'
  | 'count'
  | 'scan'
  | 'clear'
  | 'findByUser'
  | 'removeOfUser'
  | 'ping'
  | 'check'

/** What a call is for, as far as it decides which part of the server is asked. */
export interface Work {
  readonly verb: Verb
  /** Undefined for what concerns the whole store. */
  readonly key: string | undefined
}

/**
 * Thrown (or rejected with) by a backend whose call may succeed a moment later: a lost connection, a lock held by somebody
 * else, a server that is loading its data. Core calls the verb again, with the same arguments, until the deadline.
 */
export class TryAgain extends Error {
  override readonly name = 'TryAgain'
  /** Whether the trouble is this call's own, such as a transaction that lost against another, and no sign of an outage. */
  readonly alone: boolean

  /**
   * @param cause the driver's error; becomes the `cause` of the 503 when time runs out
   * @param alone see the property; default false
   */
  constructor(cause: unknown, { alone = false }: { alone?: boolean } = {}) {
    super('the operation can be tried again', { cause })
    this.alone = alone
  }
}
