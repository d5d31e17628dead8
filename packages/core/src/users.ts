import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Batch, KeyedRecord } from './backend.ts'
import { wrongOption } from './check-options.ts'
import type { Codec } from './codec.ts'
import { isExpired, trueExpiry } from './expiry.ts'
import { lifetimeOf } from './face/session.ts'
import type { Records } from './guard/guarded-backend.ts'
import type { SessionData } from './options.ts'
import type { Settings } from './settings.ts'

/** How many sessions one command ends. */
const REMOVE_BATCH = 100
/** How many sessions are read between two turns of the event loop, in a millisecond or two. */
const READ_BATCH = 100

/** A session as it shows in the list of its user. Times are in ms since the epoch. */
export interface UserSession<Session> {
  /** The SHA-256 of the session's id. Names the session, and does not let anybody in: safe to show and to send back. */
  handle: string
  createdAt: number
  /**
   * When it was last used, to within `touchInterval`, for a request that changes nothing is not noted down before. In the
   * last stretch before `absoluteTimeout` ends the session it stands still.
   */
  lastActiveAt: number
  expiresAt: number
  session: Session
}

/** What is done with all sessions of one user. */
export class Users {
  readonly #backend: Records
  readonly #records: Records
  readonly #codec: Codec
  readonly #settings: Settings

  /**
   * @param backend the records as they are stored: what ends must end though it cannot be read
   * @param records the records as the application wrote them
   */
  constructor(backend: Records, records: Records, codec: Codec, settings: Settings) {
    this.#backend = backend
    this.#records = records
    this.#codec = codec
    this.#settings = settings
  }

  get isSupported(): boolean {
    return this.#backend.findByUser !== undefined && this.#backend.removeOfUser !== undefined
  }

  /** Last used first. */
  async list(userId: string): Promise<UserSession<SessionData>[]> {
    const now = this.#settings.now()
    const found = new Map<string, UserSession<SessionData>>()
    for await (const { key: handle, record } of recordsOf(this.#records, userId)) {
      const expiresAt = trueExpiry(record, this.#settings.absoluteTimeout)
      const session = isExpired(expiresAt, now) ? undefined : this.#codec.decode(record.data, expiresAt)
      if (session === undefined) continue
      const lifetime = lifetimeOf(session, this.#settings.ttl)
      const lastActiveAt = lifetime === undefined ? record.createdAt : Math.max(expiresAt - lifetime, record.createdAt)
      found.set(handle, { handle, createdAt: record.createdAt, lastActiveAt, expiresAt, session })
    }
    return [...found.values()].sort((a, b) => b.lastActiveAt - a.lastActiveAt || compare(a.handle, b.handle))
  }

  /** @param except the key of a session that stays */
  async destroy(userId: string, except?: string): Promise<number> {
    const keys = new Set<string>()
    for await (const { key } of recordsOf(this.#backend, userId)) if (key !== except) keys.add(key)
    return this.#remove(userId, [...keys])
  }

  /** @param key of the session that ends if it is this user's; answers whether it was */
  async destroyOne(userId: string, key: string): Promise<boolean> {
    return (await this.#remove(userId, [key])) === 1
  }

  /**
   * Ends those sessions of the user beyond `maxPerUser` that were idle longest.
   * @param key of the session that has just become one of the user's, and stays. Only where several began at once, which each
   * do the same, all must agree on which of them stay, or they would end each other
   */
  async enforceLimit(userId: string, key: string): Promise<void> {
    const { maxPerUser, timeout } = this.#settings
    if (maxPerUser === undefined) return
    const list = await this.list(userId)
    if (!list.some(({ handle }) => handle === key)) return // ended by another one meanwhile
    const now = this.#settings.now()
    const rank = ({ handle, createdAt }: UserSession<SessionData>): number => {
      if (Math.abs(now - createdAt) <= timeout) return createdAt
      return handle === key ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
    }
    const byRank = list
      .map((each) => ({ ...each, rank: rank(each) }))
      .sort((a, b) => compare(b.rank, a.rank) || (Number.isFinite(a.rank) ? compare(a.handle, b.handle) : 0))
    const excess = byRank.slice(maxPerUser).map(({ handle }) => handle)
    if (excess.length > 0) await this.#remove(userId, excess)
  }

  async #remove(userId: string, keys: string[]): Promise<number> {
    let removed = 0
    for (let from = 0; from < keys.length; from += REMOVE_BATCH) {
      if (from > 0) await nextTurn()
      removed += (await this.#backend.removeOfUser?.(userId, keys.slice(from, from + REMOVE_BATCH))) ?? 0
    }
    return removed
  }
}

function compare<T extends number | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** With turns of the event loop in between: a backend may answer at once, and with many. */
async function* recordsOf(records: Records, userId: string): AsyncGenerator<KeyedRecord> {
  let from: string | undefined
  do {
    const batch: (Batch & { records: KeyedRecord[] }) | undefined = await records.findByUser?.(userId, from)
    if (batch === undefined) return
    for (const [n, each] of batch.records.entries()) {
      if (n > 0 && n % READ_BATCH === 0) await nextTurn()
      yield each
    }
    from = batch.next
    if (from !== undefined) await nextTurn()
  } while (from !== undefined)
}

/**
 * The user id as records keep it. Nobody's sessions have none: an empty text, too, would make one user of all visitors who
 * are not logged in.
 * @param what the option or argument that it comes from, for the error
 * @throws TypeError when it is neither a text nor a number
 */
export function userIdFrom(value: unknown, what: string): string | undefined {
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value === 'string') return value
  if (typeof value === 'number' && Number.isFinite(value)) return String(value)
  throw wrongOption(what, 'a string, a number or undefined', value)
}
