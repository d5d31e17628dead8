import { type Channel, channel, type TracingChannel, tracingChannel } from 'node:diagnostics_channel'
import { andThen, isPromise } from './awaitable.ts'
import type { Awaitable } from './backend.ts'

/** What an operation came to. */
export type Outcome =
  | 'hit' // get: there it is
  | 'adopted' // get: taken over from the old store
  | 'miss' // get, destroy: there is none
  | 'expired' // get: past its expiry; set: saved with an expiry that has passed, so removed
  | 'unreadable' // get: what is stored cannot be read or opened; it is kept
  | 'written' // set: stored
  | 'merged' // set: stored together with what another request changed meanwhile
  | 'touched' // set, touch: only the expiry was moved
  | 'refused' // set: only the expiry was to be moved, and the server took no write; the session lives on for a while
  | 'skipped' // set, touch: nothing changed, nothing was sent
  | 'dropped' // set, touch: destroyed or expired since it was loaded; it stays gone
  | 'removed' // destroy
  | 'done' // all that is not about one session
  | 'error'

const OPERATIONS = [
  ...(['get', 'set', 'destroy', 'touch', 'ping'] as const),
  ...(['prune', 'count', 'scan', 'clear', 'index', 'check'] as const),
  ...(['listByUser', 'destroyByUser'] as const),
]

export type Operation = (typeof OPERATIONS)[number]

/**
 * The context on the tracing channel `session-stores.<operation>`, of Node's `diagnostics_channel`: published on
 * `tracing:session-stores.get:start` and so on. Every operation that starts ends on `asyncEnd`, also one that was answered at
 * once; on `error` before that if it failed. Never an id, never session data.
 */
export interface OperationContext extends StoreIdentity {
  operation: Operation
  /** From `asyncEnd` on. */
  outcome?: Outcome
  /** How long it took, in ms. From `asyncEnd` on. */
  duration?: number
  /** How many calls went to the server together with this one; left out for one that went alone. */
  batchSize?: number
  /** prune, destroyByUser: how many sessions it deleted. */
  removed?: number
  /** For the outcome `'error'` the error that the caller got, for `'refused'` the one that the caller was spared. */
  error?: unknown
}

/** Which store it is. */
export interface StoreIdentity {
  /** The kind: `'redis'`, `'sqlite'`, … */
  store: string
  /** The option `name`, to tell apart two stores of one kind. By default the kind. */
  name: string
}

/** On the channel `session-stores.down`: a part of the server is taken for down, until it answers a ping. */
export interface DownMessage extends StoreIdentity {
  /** Such as the address of one of several servers; empty when there is only one part. */
  part: string
}

/** On the channel `session-stores.back`, once for each `session-stores.down`: it has answered, or the store was closed. */
export interface BackMessage extends DownMessage {
  /** How long it was taken for down, in ms. */
  duration: number
}

/** On the channel `session-stores.unopened`: what is stored was not sealed, or by none of the store's keys. It is kept. */
export type UnopenedMessage = StoreIdentity

/** On the channel `session-stores.adopted`: a session was taken over from the store before (the option `adopt`). */
export type AdoptedMessage = StoreIdentity

export interface Traced<T> {
  outcome: Outcome
  value: T
  removed?: number
  batchSize?: number | undefined
  error?: unknown
}

export const downChannel: Channel = channel('session-stores.down')
export const backChannel: Channel = channel('session-stores.back')
export const unopenedChannel: Channel = channel('session-stores.unopened')
export const adoptedChannel: Channel = channel('session-stores.adopted')

const channels = Object.fromEntries(
  OPERATIONS.map((operation) => [operation, tracingChannel(`session-stores.${operation}`)]),
) as Record<Operation, TracingChannel<string, OperationContext>>

const PARTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const

/** Does the work, and publishes its start and what came of it if anybody listens. */
export function traced<T>(
  identity: StoreIdentity,
  operation: Operation,
  work: () => Awaitable<Traced<T>>,
): Awaitable<T> {
  const tracing = channels[operation]
  if (!isObserved(tracing)) return andThen(work(), toValue)
  const context: OperationContext = { store: identity.store, name: identity.name, operation }
  const begun = performance.now()
  const publishEnd = (outcome: Outcome) => {
    context.outcome = outcome
    context.duration = performance.now() - begun
    tracing.asyncStart.publish(context)
    tracing.asyncEnd.publish(context)
  }
  const onAnswer = ({ value, outcome, ...rest }: Traced<T>) => {
    Object.assign(context, rest)
    publishEnd(outcome)
    return value
  }
  const onFailure = (error: unknown) => {
    context.error = error
    tracing.error.publish(context)
    publishEnd('error')
    throw error
  }
  let answer: Awaitable<Traced<T>>
  try {
    answer = tracing.start.runStores(context, work)
  } catch (error) {
    tracing.end.publish(context)
    return onFailure(error)
  }
  tracing.end.publish(context)
  return isPromise(answer) ? answer.then(onAnswer, onFailure) : onAnswer(answer)
}

/** Bun's tracing channels do not tell by themselves. */
function isObserved(tracing: TracingChannel<string, OperationContext>): boolean {
  return tracing.hasSubscribers ?? PARTS.some((part) => tracing[part].hasSubscribers)
}

function toValue<T>({ value }: Traced<T>): T {
  return value
}
