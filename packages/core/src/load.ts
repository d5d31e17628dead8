import { isPromise } from './awaitable.ts'
import type { Awaitable, SessionRecord, StoredRecord } from './backend.ts'
import type { Codec } from './codec.ts'
import { type AdoptedMessage, adoptedChannel, type StoreIdentity, type Traced } from './diagnostics.ts'
import { isExpired, PRUNE_MARGIN, trueExpiry } from './expiry.ts'
import { LOADED } from './face/snapshot.ts'
import { Waited } from './face/waited.ts'
import type { GuardedBackend, Records } from './guard/guarded-backend.ts'
import type { Limit } from './guard/limit.ts'
import { keyOf } from './key.ts'
import type { SessionData } from './options.ts'
import type { Saver } from './save.ts'
import type { Settings } from './settings.ts'

/** A session as `scan()` and `getByHandle()` show it. */
export interface SessionInfo<Session> {
  /** The SHA-256 of the session's id. Names the session, and does not let anybody in. */
  handle: string
  /** ms since the epoch */
  createdAt: number
  /** ms since the epoch */
  expiresAt: number
  /** Whose it is, where that was known when it was last stored. */
  userId?: string
  session: Session
}

/** Reads a session, judges it, and marks it by what `Saver` will know it again. */
export class Loader {
  readonly #backend: GuardedBackend
  readonly #records: Records
  readonly #saver: Saver
  readonly #codec: Codec
  readonly #settings: Settings
  readonly #identity: StoreIdentity

  constructor(
    backend: GuardedBackend,
    records: Records,
    saver: Saver,
    codec: Codec,
    settings: Settings,
    identity: StoreIdentity,
  ) {
    this.#backend = backend
    this.#records = records
    this.#saver = saver
    this.#codec = codec
    this.#settings = settings
    this.#identity = identity
  }

  load(sessionId: string): Awaitable<Traced<SessionData | null>> {
    const key = keyOf(sessionId)
    const begun = performance.now()
    const { guard } = this.#backend
    const limit: Limit = { deadline: guard.deadline() }
    const found = this.#records.read(key, limit)
    if (this.#settings.adopt) return this.#loadOrAdopt(sessionId, key, found, begun, limit)
    if (!isPromise(found)) return this.#found(sessionId, key, found, new Waited())
    return found.then((came) => {
      const answer = this.#found(sessionId, key, came, new Waited(guard.waited(begun, limit)))
      if (limit.batchSize !== undefined) answer.batchSize = limit.batchSize
      return answer
    })
  }

  /** Undefined when the session has ended or cannot be read. */
  infoOf(handle: string, record: SessionRecord): SessionInfo<SessionData> | undefined {
    const { createdAt, userId } = record
    const expiresAt = trueExpiry(record, this.#settings.absoluteTimeout)
    const session = isExpired(expiresAt, this.#settings.now()) ? undefined : this.#codec.decode(record.data, expiresAt)
    if (session === undefined) return undefined
    const info = { handle, createdAt, expiresAt, session }
    return userId === undefined ? info : { ...info, userId }
  }

  async #loadOrAdopt(
    sessionId: string,
    key: string,
    ours: ReturnType<Records['read']>,
    begun: number,
    limit: Limit,
  ): Promise<Traced<SessionData | null>> {
    const stored = await ours
    const found = stored ?? (await this.#saver.adopt(sessionId, key, limit))
    const answer = this.#found(sessionId, key, found, new Waited(this.#backend.guard.waited(begun, limit)))
    if (stored !== undefined || answer.outcome !== 'hit') return answer
    adoptedChannel.publish({ ...this.#identity } satisfies AdoptedMessage)
    return { ...answer, outcome: 'adopted' }
  }

  #found(
    sessionId: string,
    key: string,
    found: StoredRecord | 'unreadable' | undefined,
    waited: Waited,
  ): Traced<SessionData | null> {
    const answer = this.#judged(sessionId, key, found, waited)
    this.#saver.onLoad(key, answer.value !== null)
    return answer
  }

  #judged(
    sessionId: string,
    key: string,
    found: StoredRecord | 'unreadable' | undefined,
    waited: Waited,
  ): Traced<SessionData | null> {
    if (found === undefined) return { outcome: 'miss', value: null }
    if (found === 'unreadable') return { outcome: 'unreadable', value: null }
    const expiresAt = trueExpiry(found.record, this.#settings.absoluteTimeout)
    const now = this.#settings.now()
    if (isExpired(expiresAt, now)) {
      // A server that collects by itself knows only of the expiry that is stored.
      const isUnknown = !isExpired(found.record.expiresAt, now) && isExpired(expiresAt, now - PRUNE_MARGIN)
      if (isUnknown && !this.#backend.prune) void Promise.resolve(this.#saver.remove(key)).catch(() => {})
      return { outcome: 'expired', value: null }
    }
    const session = this.#codec.decode(found.record.data, expiresAt)
    if (session === undefined) return { outcome: 'unreadable', value: null }
    session[LOADED] = this.#saver.snapshot(sessionId, key, found, session, waited)
    return { outcome: 'hit', value: session }
  }
}
