import type { StoredRecord } from '../backend.ts'
import type { Waited } from './waited.ts'

/**
 * The property under which a session carries its snapshot. `@fastify/session` copies the enumerable string keys of what
 * `get` answered into a new object and passes that to `set`: so this is how the two find each other.
 */
export const LOADED = '~loaded'

/** What is known of a session that was loaded, or saved. Times are in ms since the epoch. */
export interface SnapshotState {
  /** The serialized session as the application has it. */
  base: string
  /** What the server holds, as far as known; its data differs from `base` after a merge. */
  stored: StoredRecord
  /** The expiry that this request asked for so far. */
  asked: number
  /** When the session was loaded or began. */
  loadedAt: number
  /** How long the request has waited for the server so far. */
  waited: Waited
}

/** Goes with a session from `get` to `set`. Invisible to JSON (and so to the plugin's change detection); prints nothing. */
export class Snapshot {
  readonly #owner: object
  readonly #key: string
  readonly #state: SnapshotState
  readonly #sessionId: string | undefined

  /**
   * @param owner the store that made it: another store's snapshot means nothing here
   * @param sessionId what the key was made from, so that `set` need not make it again
   */
  constructor(owner: object, key: string, state: SnapshotState, sessionId?: string) {
    this.#owner = owner
    this.#key = key
    this.#state = state
    this.#sessionId = sessionId
  }

  toJSON(): undefined {
    return undefined
  }

  /** What `owner` knows of this session under this key: nothing of a new one, or of one copied to a new id. */
  static of(session: object, owner: object, key: string): SnapshotState | undefined {
    const found = Snapshot.#on(session, owner)
    return found !== undefined && found.#key === key ? found.#state : undefined
  }

  /** The key of this id, where the session was loaded by it. */
  static keyOf(session: object, owner: object, sessionId: string): string | undefined {
    const found = Snapshot.#on(session, owner)
    return found !== undefined && found.#sessionId === sessionId ? found.#key : undefined
  }

  static #on(session: object, owner: object): Snapshot | undefined {
    const found = (session as Record<string, unknown>)[LOADED]
    if (typeof found !== 'object' || found === null || !(#owner in found)) return undefined
    return found.#owner === owner ? found : undefined
  }

  /** Puts this snapshot on a session that was saved, hidden unless the session already carried one. */
  attachTo(session: object): void {
    const enumerable = Object.getOwnPropertyDescriptor(session, LOADED)?.enumerable ?? false
    // Not every session takes it: a frozen one is saved all the same.
    Reflect.defineProperty(session, LOADED, { value: this, enumerable, writable: true, configurable: true })
  }
}
