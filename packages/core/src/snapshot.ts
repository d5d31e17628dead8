import type { StoredRecord } from './backend.ts'

/**
 * The property under which a session carries its snapshot. `@fastify/session` copies the enumerable string keys of what
 * `get` answered into a new object and passes that to `set`: so this is how the two find each other.
 */
export const LOADED = '~loaded'

/**
 * What a session looked like when it was loaded or last saved. Invisible to JSON (and so to the plugin's own change
 * detection), and prints nothing.
 */
export class Snapshot {
  readonly #owner: object
  readonly #key: string
  readonly #base: string
  readonly #stored: StoredRecord
  readonly #loadedAt: number

  /**
   * @param owner the store that made it; another store's snapshot means nothing here
   * @param base the serialized session as the application has it
   * @param stored what the server holds; its data differs from `base` after a merge
   * @param loadedAt when the session was loaded or began, in ms since the epoch
   */
  constructor(owner: object, key: string, base: string, stored: StoredRecord, loadedAt: number) {
    this.#owner = owner
    this.#key = key
    this.#base = base
    this.#stored = stored
    this.#loadedAt = loadedAt
  }

  get base(): string {
    return this.#base
  }

  get stored(): StoredRecord {
    return this.#stored
  }

  get loadedAt(): number {
    return this.#loadedAt
  }

  toJSON(): undefined {
    return undefined
  }

  /** The snapshot that `owner` left on this session for this key. None on a new session, or on one copied to a new id. */
  static of(session: object, owner: object, key: string): Snapshot | undefined {
    const found = (session as Record<string, unknown>)[LOADED]
    return found instanceof Snapshot && found.#owner === owner && found.#key === key ? found : undefined
  }

  /** Puts this snapshot on a session that was saved, hidden unless the session already carried one. */
  attachTo(session: object): void {
    const present = Object.getOwnPropertyDescriptor(session, LOADED)
    if (present === undefined && !Object.isExtensible(session)) return
    Object.defineProperty(session, LOADED, {
      value: this,
      enumerable: present?.enumerable ?? false,
      writable: true,
      configurable: true,
    })
  }
}
