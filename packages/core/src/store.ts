import { setTimeout as sleep } from 'node:timers/promises'
import { andThen, isPromise } from './awaitable.ts'
import type { Awaitable, Backend, Batch, StoredRecord } from './backend.ts'
import { Codec } from './codec.ts'
import { type Operation, type Traced, traced } from './diagnostics.ts'
import { SessionStoreClosed, SessionUnsupported } from './errors.ts'
import { isExpired } from './expiry.ts'
import { answer, type Callback, checkCallback } from './face/callback.ts'
import { restoreExpiry } from './face/session.ts'
import { LOADED } from './face/snapshot.ts'
import { Waited } from './face/waited.ts'
import { GuardedBackend } from './guard/guarded-backend.ts'
import { keyOf } from './key.ts'
import { type SessionData, type Settings, type StoreOptions, settingsFrom } from './options.ts'
import { Pruner } from './pruner.ts'
import { Refused, Saver } from './save.ts'

/**
 * How long a session is over before it is pruned by this process's clock alone, in ms: a clock that is ahead by less than
 * this, such as by an hour of daylight saving time, deletes nobody's session.
 */
const PRUNE_MARGIN = 2 * 60 * 60_000
/** How long pruning and clearing rest after each batch, in times of what it took: requests are to notice nothing. */
const REST = 3

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
 * Every method returns a promise, or calls back when it is given a callback: exactly once, and at once when there is
 * nothing to wait for.
 * Every one fails with `SESSION_STORE_UNAVAILABLE` (status 503) when the server is down or does not answer within
 * `timeout`, and with `SESSION_STORE_CLOSED` after `close()`. An outage is never reported as "no session".
 *
 * @typeParam Session what the application keeps in a session; `Fastify.Session` for what `request.session` holds
 */
// biome-ignore lint/suspicious/noExplicitAny: so that a store fits the plugin's option whatever `Fastify.Session` was augmented with
export class SessionStore<Session extends object = any> {
  /**
   * The records underneath, for tests and tools: each verb ends by its deadline, and fails with a 503. Keys are hashed ids,
   * and nothing here judges expiry.
   */
  readonly backend: GuardedBackend
  readonly #closeBackend: () => Awaitable<void>
  readonly #settings: Settings
  readonly #codec: Codec
  readonly #saver: Saver
  readonly #pruner: Pruner
  #pruning: Promise<number> | undefined
  #closing: Promise<void> | undefined

  /** @throws TypeError that names the wrong option, or the verb the backend lacks */
  constructor(backend: Backend, options: StoreOptions = {}) {
    this.#settings = settingsFrom(options)
    for (const verb of ['read', 'write', 'replace', 'touch', 'remove'] as const) {
      if (typeof backend?.[verb] !== 'function') throw new TypeError(`the backend must have the method ${verb}`)
    }
    if (typeof backend.name !== 'string') throw new TypeError('the backend must have a name')
    this.backend = new GuardedBackend(backend, this.#settings.now, this.#settings.timeout)
    this.#closeBackend = () => backend.close?.()
    this.#codec = new Codec(this.#settings.serializer, this.#settings.maxBytes)
    this.#saver = new Saver(this.backend, this.#codec, this.#settings)
    this.#pruner = new Pruner(() => this.prune(), backend.prune ? this.#settings.pruneInterval : false)
  }

  /**
   * The session with this id, or null when there is none or it has expired. Where its cookie has an expiry, that is the
   * true one. What is stored and cannot be read counts as no session; it is kept, and reported on the channel
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
    return this.#run('destroy', callback, () =>
      andThen(this.#saver.remove(keyOf(sessionId)), (removed) => ({
        outcome: removed ? 'removed' : 'miss',
        value: undefined,
      })),
    )
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

  /** How many sessions there are. Takes as long as the server needs, in batches of at most `timeout` each. */
  async count(): Promise<number> {
    return this.#runWhole('count', 'count its sessions', this.backend.count, async (count) => {
      let total = 0
      for await (const batch of this.#batches(count)) total += batch.count
      return total
    })
  }

  /** Ends every session. Nothing else on that server is touched. Takes as long as it needs, in small batches. */
  clear(): Promise<void>
  clear(callback: (error?: unknown) => void): void
  clear(callback?: Callback<void>): Promise<void> | undefined {
    checkCallback(callback)
    const clearAll = async (clear: NonNullable<GuardedBackend['clear']>) => {
      for await (const _ of this.#batches(clear));
    }
    return answer(() => this.#runWhole('clear', 'clear its sessions', this.backend.clear, clearAll), callback)
  }

  /**
   * Every session, in no order: those that are there from beginning to end at least once, others perhaps. Reads in batches,
   * so it can be used on a busy store.
   */
  async *scan(): AsyncGenerator<SessionInfo<Session>, void, undefined> {
    this.#checkOpen()
    const { scan } = this.backend
    if (!scan) throw new SessionUnsupported(this.backend.name, 'list its sessions')
    for await (const { records } of this.#batches(scan)) {
      for (const { key: handle, record } of records) {
        const { createdAt } = record
        const expiresAt = this.#trueExpiry(record)
        const session = isExpired(expiresAt, this.#settings.now()) ? undefined : this.#decode(record.data, expiresAt)
        if (session) yield { handle, createdAt, expiresAt, session: session as Session }
        this.#checkOpen()
      }
    }
  }

  /**
   * Deletes what has expired some time ago, and answers how many sessions that were. Runs by itself every `pruneInterval`;
   * on servers that collect expired sessions themselves there is nothing to do. Two calls at once are one.
   */
  async prune(): Promise<number> {
    this.#checkOpen()
    this.#pruning ??= Promise.resolve(traced(this.backend.name, 'prune', () => this.#pruneAll())).finally(() => {
      this.#pruning = undefined
    })
    return this.#pruning
  }

  /** Resolves when the server answers. */
  async ping(): Promise<void> {
    this.#checkOpen()
    await (this.backend.ping ? this.backend.ping() : this.backend.read(keyOf('ping')))
  }

  /**
   * Stops the timer and closes what the store itself opened: never a client, pool or database that it was given.
   * Call it after the last request, in an `onClose` hook. A second call does nothing.
   */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      this.#pruner.stop()
      this.backend.guard.close()
      await this.#closeBackend()
    })()
    return this.#closing
  }

  #get(sessionId: string): Awaitable<Traced<Session | null>> {
    const key = keyOf(sessionId)
    const found = this.backend.read(key)
    if (!isPromise(found)) return this.#found(key, found, new Waited())
    const begun = performance.now()
    return found.then((came) => this.#found(key, came, new Waited(performance.now() - begun)))
  }

  #found(key: string, found: StoredRecord | 'unreadable' | undefined, waited: Waited): Traced<Session | null> {
    this.#saver.onLoad(key)
    if (found === undefined) return { outcome: 'miss', value: null }
    if (found === 'unreadable') return { outcome: 'unreadable', value: null }
    const expiresAt = this.#trueExpiry(found.record)
    if (isExpired(expiresAt, this.#settings.now())) return { outcome: 'expired', value: null }
    const session = this.#decode(found.record.data, expiresAt)
    if (session === undefined) return { outcome: 'unreadable', value: null }
    session[LOADED] = this.#saver.snapshot(key, found, session, waited)
    return { outcome: 'hit', value: session as Session }
  }

  /** Undefined when the text cannot be read. */
  #decode(text: string, expiresAt: number): SessionData | undefined {
    const session = this.#codec.parse(text)
    if (session) restoreExpiry(session, expiresAt)
    return session
  }

  #save(sessionId: string, session: Session, touchOnly: boolean): Awaitable<Traced<undefined>> {
    const key = keyOf(sessionId)
    if (typeof session !== 'object' || session === null) throw new TypeError('the session must be an object')
    return andThen(this.#saver.save(key, session, touchOnly), (saved) =>
      saved instanceof Refused
        ? { outcome: 'refused', error: saved.error, value: undefined }
        : { outcome: saved, value: undefined },
    )
  }

  async #pruneAll(): Promise<Traced<number>> {
    const { prune } = this.backend
    let total = 0
    if (prune) {
      const before = this.#settings.now() - PRUNE_MARGIN
      for await (const { removed } of this.#batches((from) => prune(before, from))) {
        total += removed
        if (this.#closing) break
      }
    }
    return { outcome: 'done', value: total, removed: total }
  }

  /** All batches of an operation over the whole store, with a rest after each: requests first. */
  async *#batches<B extends Batch>(next: (from: string | undefined) => Awaitable<B>): AsyncGenerator<B> {
    let from: string | undefined
    do {
      const begun = performance.now()
      const batch = await next(from)
      const took = performance.now() - begun
      yield batch
      from = batch.next
      if (from !== undefined) await sleep(Math.min(REST * took, this.#settings.timeout), undefined, { ref: false })
    } while (from !== undefined)
  }

  /** Also right for sessions that were stored before `absoluteTimeout` was set or shortened. */
  #trueExpiry({ createdAt, expiresAt }: { createdAt: number; expiresAt: number }): number {
    return Math.min(expiresAt, createdAt + this.#settings.absoluteTimeout)
  }

  #run<T>(operation: Operation, callback: Callback<T> | undefined, work: () => Awaitable<Traced<T>>) {
    checkCallback(callback)
    return answer(
      () =>
        traced(this.backend.name, operation, () => {
          this.#checkOpen()
          this.#pruner.start()
          return work()
        }),
      callback,
    )
  }

  async #runWhole<V, T>(
    operation: Operation,
    what: string,
    verb: V | undefined,
    work: (verb: V) => Promise<T>,
  ): Promise<T> {
    this.#checkOpen()
    if (verb === undefined) throw new SessionUnsupported(this.backend.name, what)
    return traced(this.backend.name, operation, async () => ({ outcome: 'done', value: await work(verb) }))
  }

  #checkOpen(): void {
    if (this.#closing) throw new SessionStoreClosed(this.backend.name)
  }
}
