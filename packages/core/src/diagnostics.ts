import { type Channel, channel } from 'node:diagnostics_channel'
import { andThen, isPromise } from './awaitable.ts'
import type { Awaitable } from './backend.ts'

/** What an operation came to. */
export type Outcome =
  | 'hit' // get: there it is
  | 'miss' // get, destroy: there is none
  | 'expired' // get: past its expiry; set: saved with an expiry that has passed, so removed
  | 'unreadable' // get: the stored text cannot be read; it is kept
  | 'written' // set: stored
  | 'merged' // set: stored together with what another request changed meanwhile
  | 'touched' // set, touch: only the expiry was moved
  | 'refused' // set: only the expiry was to be moved, and the server took no write; the session lives on for a while
  | 'skipped' // set, touch: nothing changed, nothing was sent
  | 'dropped' // set, touch: destroyed or expired since it was loaded; it stays gone
  | 'removed' // destroy
  | 'done' // prune, clear, count
  | 'error'

/** What is published on the channel `session-stores:<operation>`. Never an id, never session data. */
export interface OperationMessage {
  /** The kind of store: `'redis'`, `'sqlite'`, … */
  store: string
  outcome: Outcome
  /** How long it took, in ms. */
  duration: number
  /** prune: how many sessions it deleted. */
  removed?: number
  /** For the outcome `'error'` the error that the caller got, for `'refused'` the one that the caller was spared. */
  error?: unknown
}

export type Operation =
  | 'get'
  | 'set'
  | 'destroy'
  | 'touch'
  | 'prune'
  | 'clear'
  | 'count'
  | 'listByUser'
  | 'destroyByUser'
  | 'index'

export interface Traced<T> {
  outcome: Outcome
  value: T
  removed?: number
  error?: unknown
}

const channels: Record<Operation, Channel> = {
  get: channel('session-stores:get'),
  set: channel('session-stores:set'),
  destroy: channel('session-stores:destroy'),
  touch: channel('session-stores:touch'),
  prune: channel('session-stores:prune'),
  clear: channel('session-stores:clear'),
  count: channel('session-stores:count'),
  listByUser: channel('session-stores:listByUser'),
  destroyByUser: channel('session-stores:destroyByUser'),
  index: channel('session-stores:index'),
}

/** Does the work, and publishes what came of it if anybody listens. */
export function traced<T>(store: string, operation: Operation, work: () => Awaitable<Traced<T>>): Awaitable<T> {
  const published = channels[operation]
  if (!published.hasSubscribers) return andThen(work(), toValue)
  const begun = performance.now()
  const publish = (rest: Omit<OperationMessage, 'store' | 'duration'>) =>
    published.publish({ store, duration: performance.now() - begun, ...rest } satisfies OperationMessage)
  const onAnswer = ({ value, ...rest }: Traced<T>) => {
    publish(rest)
    return value
  }
  const onFailure = (error: unknown) => {
    publish({ outcome: 'error', error })
    throw error
  }
  let answer: Awaitable<Traced<T>>
  try {
    answer = work()
  } catch (error) {
    return onFailure(error)
  }
  return isPromise(answer) ? answer.then(onAnswer, onFailure) : onAnswer(answer)
}

function toValue<T>({ value }: Traced<T>): T {
  return value
}
