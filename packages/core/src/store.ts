import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Awaitable, Backend } from './backend.ts'
import { type Callback, checkCallback, settle } from './callback.ts'
import { Codec } from './codec.ts'
import { type Operation, type Traced, traced } from './diagnostics.ts'
import { SessionStoreClosed, SessionUnsupported } from './errors.ts'
import { isExpired } from './expiry.ts'
import { Guard } from './guard.ts'
import { keyOf } from './key.ts'
import { type Settings, type StoreOptions, settingsFrom } from './options.ts'
import { Pruner } from './pruner.ts'
import { Saver } from './save.ts'
import { LOADED } from './snapshot.ts'

/** How long an operation over the whole store may take, in ms. */
const WHOLE_STORE_TIMEOUT = 60_000
/** What a save has left that is repeated right after it failed, in ms. */
const REPEATED_SAVE_TIMEOUT = 30

/** A session as `scan()` shows it. */
export interface SessionInfo<Session> {
  /** The SHA-256 of the session's id. Names the session, and does not let anybody in. */
  handle: string
  /** ms since the epoch */
  createdAt: number
  /** ms since the epoch */
  expiresAt: number
  session: Session
}

/**
 * A session store for `@fastify/session`: pass it as the plugin's `store`.
 *
 * Every method returns a promise, or calls back when it is given a callback: exactly once, on a later tick.
 * Every one fails with `SESSION_STORE_UNAVAILABLE` (status 503) when the server is down or does not answer within
 * `timeout`, and with `SESSION_STORE_CLOSED` after `close()`. An outage is never reported as "no session".
 *
 * @typeParam Session what the application keeps in a session; `Fastify.Session` for what `request.session` holds
 */
// biome-ignore lint/suspicious/noExplicitAny: so that a store fits the plugin's option whatever `Fastify.Session` was augmented with
export class SessionStore<Session extends object = any> {
  /** The records underneath: for tests and tools. Keys are hashed ids, and nothing here judges expiry. */
  readonly backend: Backend
  readonly #settings: Settings
  readonly #guard: Guard
  readonly #codec: Codec
  readonly #saver: Saver
  readonly #pruner: Pruner
  /** When a save of this session object failed after a wait. */
  readonly #failedSaves = new WeakMap<object, number>()
  #pruning: Promise<number> | undefined
  #closing: Promise<void> | undefined

  /** @throws TypeError that names the wrong option, or the verb the backend lacks */
  constructor(backend: Backend, options: StoreOptions = {}) {
    this.#settings = settingsFrom(options)
    for (const verb of ['read', 'write', 'replace', 'touch', 'remove'] as const) {
      if (typeof backend?.[verb] !== 'function') throw new TypeError(`the backend must have the method ${verb}`)
    }
    if (typeof backend.name !== 'string') throw new TypeError('the backend must have a name')
    this.backend = backend
    this.#guard = new Guard(backend.name, () => this.#ping(), this.#settings.timeout)
    this.#codec = new Codec(this.#settings.serializer, this.#settings.maxBytes)
    this.#saver = new Saver(backend, this.#guard, this.#codec, this.#settings)
    this.#pruner = new Pruner(() => this.prune(), backend.prune ? this.#settings.pruneInterval : false)
  }

  /**
   * The session with this id, or null when there is none or it has expired. Where its cookie has an expiry, that is the
   * true one. Stored text that cannot be read counts as no session; it is kept, and reported on the channel
   * `session-stores:get`.
   */
  get(sessionId: string): Promise<Session | null>
  get(sessionId: string, callback: (error: unknown, session?: Session | null) => void): void
  get(sessionId: string, callback?: Callback<Session | null>): Promise<Session | null> | undefined {
    return this.#run('get', callback, () => this.#get(sessionId))
  }

  /**
   * Saves the session, at the least cost that keeps it right: nothing when nothing changed, a touch when only the
   * expiry moves, otherwise a write. What other requests changed meanwhile is kept (see `onConflict`). A session that was
   * destroyed or has expired since it was loaded stays gone, and that is not an error. A session whose expiry has
   * passed is removed.
   *
   * Fails with `SESSION_TOO_LARGE`, `SESSION_NOT_SERIALIZABLE`, `SESSION_EXPIRY_INVALID` or `SESSION_CONFLICT`; what
   * was stored then stays as it was.
   */
  set(sessionId: string, session: Session): Promise<void>
  set(sessionId: string, session: Session, callback: (error?: unknown) => void): void
  set(sessionId: string, session: Session, callback?: Callback<void>): Promise<void> | undefined {
    return this.#run('set', callback, () => this.#save(sessionId, session, false))
  }

  /** Ends the session for good: a request that is still under way will not bring it back. Fine if there is none. */
  destroy(sessionId: string): Promise<void>
  destroy(sessionId: string, callback: (error?: unknown) => void): void
  destroy(sessionId: string, callback?: Callback<void>): Promise<void> | undefined {
    return this.#run('destroy', callback, async () => {
      const removed = await this.#saver.remove(keyOf(sessionId), this.#guard.deadline())
      return { outcome: removed ? 'removed' : 'miss', value: undefined }
    })
  }

  /**
   * Moves the session's expiry to what its cookie says and leaves the stored data alone. For your own use:
   * `@fastify/session` never calls it, since `set` does the same where nothing changed.
   */
  touch(sessionId: string, session: Session): Promise<void>
  touch(sessionId: string, session: Session, callback: (error?: unknown) => void): void
  touch(sessionId: string, session: Session, callback?: Callback<void>): Promise<void> | undefined {
    return this.#run('touch', callback, () => this.#save(sessionId, session, true))
  }

  /** How many sessions there are. May take as long as the server needs, up to a minute. */
  count(): Promise<number> {
    return this.#runWhole('count', 'count its sessions', this.backend.count, (count) =>
      count.call(this.backend, this.#settings.now()),
    )
  }

  /** Ends every session. Nothing else on that server is touched. May take up to a minute. */
  clear(): Promise<void> {
    return this.#runWhole('clear', 'clear its sessions', this.backend.clear, (clear) => clear.call(this.backend))
  }

  /**
   * Every session, in no order: those that are there from beginning to end at least once, others perhaps. Reads in batches,
   * so it can be used on a busy store.
   */
  async *scan(): AsyncGenerator<SessionInfo<Session>, void, undefined> {
    this.#checkOpen()
    if (!this.backend.scan) throw new SessionUnsupported(this.backend.name, 'list its sessions')
    const records = this.backend.scan()[Symbol.asyncIterator]()
    try {
      for (;;) {
        this.#checkOpen()
        const next = await this.#guard.call(this.#guard.deadline(), () => records.next())
        if (next.done) return
        const { key: handle, record } = next.value
        const { createdAt, data } = record
        const expiresAt = this.#trueExpiry(record)
        const session = isExpired(expiresAt, this.#settings.now()) ? undefined : this.#codec.decode(data, expiresAt)
        if (session) yield { handle, createdAt, expiresAt, session: session as Session }
      }
    } finally {
      // Not awaited: behind a batch that the server does not answer, it would never come.
      records.return?.()?.catch(() => {})
    }
  }

  /**
   * Deletes what has expired, and answers how many sessions that were. Runs by itself every `pruneInterval`; on servers that
   * collect expired sessions themselves there is nothing to do. Two calls at once are one.
   */
  async prune(): Promise<number> {
    this.#checkOpen()
    this.#pruning ??= traced(this.backend.name, 'prune', () => this.#pruneAll()).finally(() => {
      this.#pruning = undefined
    })
    return this.#pruning
  }

  /** Resolves when the server answers. */
  async ping(): Promise<void> {
    this.#checkOpen()
    await this.#guard.call(this.#guard.deadline(), () => this.#ping())
  }

  /**
   * Stops the timer and closes what the store itself opened: never a client, pool or database that it was given.
   * Call it after the last request, in an `onClose` hook. A second call does nothing.
   */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      this.#pruner.stop()
      this.#guard.close()
      await this.backend.close?.()
    })()
    return this.#closing
  }

  async #get(sessionId: string): Promise<Traced<Session | null>> {
    const key = keyOf(sessionId)
    const found = await this.#guard.call(this.#guard.deadline(), () => this.backend.read(key))
    if (found === undefined) return { outcome: 'miss', value: null }
    const expiresAt = this.#trueExpiry(found.record)
    if (isExpired(expiresAt, this.#settings.now())) return { outcome: 'expired', value: null }
    const session = this.#codec.decode(found.record.data, expiresAt)
    if (session === undefined) return { outcome: 'unreadable', value: null }
    session[LOADED] = this.#saver.snapshot(key, found, session)
    return { outcome: 'hit', value: session as Session }
  }

  async #save(sessionId: string, session: Session, touchOnly: boolean): Promise<Traced<undefined>> {
    const key = keyOf(sessionId)
    if (typeof session !== 'object' || session === null) throw new TypeError('the session must be an object')
    // The plugin saves a second time while it sends the error of the first: a request waits for one deadline, not two.
    const { timeout } = this.#settings
    const begun = performance.now()
    const failedAt = this.#failedSaves.get(session)
    const repeated = failedAt !== undefined && begun - failedAt < timeout
    const deadline = this.#guard.deadline(repeated ? Math.min(REPEATED_SAVE_TIMEOUT, timeout) : timeout)
    try {
      const outcome = await this.#saver.save(key, session, deadline, touchOnly)
      this.#failedSaves.delete(session)
      return { outcome, value: undefined }
    } catch (error) {
      // Not "at the deadline": a timer may fire a moment before it.
      const waited = performance.now() - begun > REPEATED_SAVE_TIMEOUT
      if (waited && !repeated) this.#failedSaves.set(session, performance.now())
      throw error
    }
  }

  async #pruneAll(): Promise<Traced<number>> {
    let total = 0
    while (this.backend.prune && !this.#closing) {
      const { removed, done } = await this.#guard.call(
        this.#guard.deadline(),
        // biome-ignore lint/style/noNonNullAssertion: tested in the loop's condition
        () => this.backend.prune!(this.#settings.now()),
      )
      total += removed
      if (done) break
      await nextTurn() // requests first
    }
    return { outcome: 'done', value: total, removed: total }
  }

  async #ping(): Promise<void> {
    await (this.backend.ping ? this.backend.ping() : this.backend.read(keyOf('ping')))
  }

  /** Also right for sessions that were stored before `absoluteTimeout` was set or shortened. */
  #trueExpiry({ createdAt, expiresAt }: { createdAt: number; expiresAt: number }): number {
    return Math.min(expiresAt, createdAt + this.#settings.absoluteTimeout)
  }

  #run<T>(operation: Operation, callback: Callback<T> | undefined, work: () => Promise<Traced<T>>) {
    checkCallback(callback)
    const outcome = traced(this.backend.name, operation, async () => {
      this.#checkOpen()
      this.#pruner.start()
      return work()
    })
    return settle(outcome, callback)
  }

  async #runWhole<Verb, T>(
    operation: Operation,
    what: string,
    verb: Verb | undefined,
    work: (verb: Verb) => Awaitable<T>,
  ): Promise<T> {
    this.#checkOpen()
    if (verb === undefined) throw new SessionUnsupported(this.backend.name, what)
    return traced(this.backend.name, operation, async () => ({
      outcome: 'done',
      value: await this.#guard.call(this.#guard.deadline(WHOLE_STORE_TIMEOUT), () => work(verb)),
    }))
  }

  #checkOpen(): void {
    if (this.#closing) throw new SessionStoreClosed(this.backend.name)
  }
}
