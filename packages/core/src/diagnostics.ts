import { type Channel, channel } from 'node:diagnostics_channel'

/** What an operation came to. */
export type Outcome =
  | 'hit' // get: there it is
  | 'miss' // get, destroy: there is none
  | 'expired' // get: past its expiry; set: saved with an expiry that has passed, so removed
  | 'unreadable' // get: the stored text cannot be read; it is kept
  | 'written' // set: stored
  | 'merged' // set: stored together with what another request changed meanwhile
  | 'touched' // set, touch: only the expiry was moved
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
  /** The error the caller got, for the outcome `'error'`. */
  error?: unknown
}

export type Operation = 'get' | 'set' | 'destroy' | 'touch' | 'prune' | 'clear' | 'count'

export interface Traced<T> {
  outcome: Outcome
  value: T
  removed?: number
}

const channels: Record<Operation, Channel> = {
  get: channel('session-stores:get'),
  set: channel('session-stores:set'),
  destroy: channel('session-stores:destroy'),
  touch: channel('session-stores:touch'),
  prune: channel('session-stores:prune'),
  clear: channel('session-stores:clear'),
  count: channel('session-stores:count'),
}

/** Does the work, and publishes what came of it if anybody listens. */
export async function traced<T>(store: string, operation: Operation, work: () => Promise<Traced<T>>): Promise<T> {
  const published = channels[operation]
  if (!published.hasSubscribers) return (await work()).value
  const begun = performance.now()
  const publish = (rest: Omit<OperationMessage, 'store' | 'duration'>) =>
    published.publish({
      store,
      duration: performance.now() - begun,
      ...rest,
    } satisfies OperationMessage)
  try {
    const { value, ...rest } = await work()
    publish(rest)
    return value
  } catch (error) {
    publish({ outcome: 'error', error })
    throw error
  }
}
