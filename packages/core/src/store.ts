import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { andThen } from './awaitable.ts'
import type { Awaitable, Backend, Batch, Cutoff, Finding } from './backend.ts'
import { checkOptions } from './check-options.ts'
import { Codec } from './codec.ts'
import { type Operation, type StoreIdentity, type Traced, traced } from './diagnostics.ts'
import { SessionStoreClosed, SessionUnsupported } from './errors.ts'
import { MAX_EXPIRES_AT, PRUNE_MARGIN } from './expiry.ts'
import { answer, type Callback, checkCallback } from './face/callback.ts'
import { holdsData, isPluginSession } from './face/session.ts'
import { GuardedBackend, type Records } from './guard/guarded-backend.ts'
import type { Limit } from './guard/limit.ts'
import { keyOf } from './key.ts'
import { Loader, type SessionInfo } from './load.ts'
import type { StoreOptions } from './options.ts'
import { Pruner } from './pruner.ts'
import { Refused, Saver } from './save.ts'
import { type Settings, settingsFrom, TIMEOUT } from './settings.ts'
import { type UserSession, Users, userIdFrom } from './users.ts'
import { batched } from './with/batched.ts'
import { sealed, sealedBytes } from './with/sealed.ts'

/** How long pruning and clearing rest after each batch, in times of what it took: requests are to notice nothing. */
const REST = 3
/** The worst first. */
const SEVERITIES: readonly Finding['severity'][] = ['error', 'warning', 'advice']
/** A SHA-256 in base64url. */
const HANDLE = /^[\w-]{43}$/

/** What the save that follows the end of a session in one request has to know of that. */
interface Ended {
  /** The session had been ended before, by somebody else. */
  byOthers: boolean
  /** How long that took, in ms. */
  waited: number
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
  readonly #identity: StoreIdentity
  readonly #records: Records
  readonly #users: Users
  readonly #closeBackend: () => Awaitable<void>
  readonly #settings: Settings
  readonly #saver: Saver
  readonly #loader: Loader
  readonly #pruner: Pruner
  /** While the plugin is called back that has ended a session: in there, `regenerate()` stores the new one. */
  #ended: Ended | undefined
  #pruning: Promise<number> | undefined
  #closing: Promise<void> | undefined

  /** @throws TypeError that names the wrong option, or the verb the backend lacks */
  constructor(backend: Backend, options: StoreOptions = {}) {
    this.#settings = settingsFrom(options)
    for (const verb of ['read', 'write', 'replace', 'touch', 'remove'] as const) {
      if (typeof backend?.[verb] !== 'function') throw new TypeError(`the backend must have the method ${verb}`)
    }
    if (typeof backend.name !== 'string') throw new TypeError('the backend must have a name')
    const { now, timeout } = this.#settings
    this.#identity = { store: backend.name, name: this.#settings.name ?? backend.name }
    this.backend = new GuardedBackend(batched(backend), now, timeout, this.#identity)
    this.#closeBackend = () => backend.close?.()
    const { encryptionKeys, acceptPlaintext } = this.#settings
    this.#records = encryptionKeys
      ? sealed(this.backend, encryptionKeys, acceptPlaintext, this.#identity)
      : this.backend
    const codec = new Codec(this.#settings.serializer, this.#settings.maxBytes)
    this.#users = new Users(this.backend, this.#records, codec, this.#settings)
    if (this.#settings.maxPerUser !== undefined) this.#checkByUser()
    if (this.#settings.adopt && !this.backend.insert) {
      throw new SessionUnsupported(backend.name, 'adopt sessions from another store')
    }
    this.#saver = new Saver(this.backend.guard, this.#records, this.#users, codec, this.#settings)
    this.#loader = new Loader(this.backend, this.#records, this.#saver, codec, this.#settings, this.#identity)
    this.#pruner = new Pruner(() => this.prune(), backend.prune ? this.#settings.pruneInterval : false)
  }

  /**
   * The session with this id, or null when there is none or it has expired. Where its cookie has an expiry, that is the
   * true one. What is stored and cannot be read counts as no session; it is kept, and reported on the tracing channel
   * `session-stores.get`.
   */
  get(sessionId: string): Promise<Session | null>
  get(sessionId: string, callback: (error: unknown, session?: Session | null) => void): void
  get(sessionId: string, callback?: Callback<Session | null>): Promise<Session | null> | undefined {
    return this.#run('get', callback, () => this.#loader.load(sessionId) as Awaitable<Traced<Session | null>>)
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
    const begun = performance.now()
    const limit: Limit = { deadline: this.backend.guard.deadline() }
    let byOthers = false
    const onEnd = (error: unknown) => {
      const waited = this.backend.guard.waited(begun, limit)
      this.#callBack(callback as Callback<void>, error, { byOthers, waited })
    }
    return this.#run('destroy', callback && onEnd, () => {
      const key = keyOf(sessionId)
      return andThen(this.#saver.remove(key, sessionId, limit), (removed) => {
        byOthers = this.#saver.wasEndedElsewhere(key, removed)
        return { outcome: removed ? 'removed' : 'miss', value: undefined }
      })
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

  /**
   * How many sessions there are. Takes as long as the server needs, in batches of at most `timeout` each.
   * @param onProgress called after each batch, with how many were counted so far
   */
  async count({ onProgress }: { onProgress?: (counted: number) => void } = {}): Promise<number> {
    return this.#runWhole('count', 'count its sessions', this.backend.count, async (count) => {
      const cutoff = this.#cutoff()
      let total = 0
      for await (const batch of this.#batches((from) => count(cutoff, from))) {
        total += batch.count
        onProgress?.(total)
      }
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
    const { scan } = this.#records
    if (!scan) throw new SessionUnsupported(this.backend.name, 'list its sessions')
    const next = (from: string | undefined) =>
      traced(this.#identity, 'scan', async () => ({ outcome: 'done', value: await scan(from) }))
    for await (const { records } of this.#batches(next)) {
      for (const { key, record } of records) {
        const info = this.#loader.infoOf(key, record)
        if (info) yield info as SessionInfo<Session>
        this.#checkOpen()
      }
    }
  }

  /** The session with this handle; null when there is none, it has ended or cannot be read. For tools: a handle must let nobody in. */
  async getByHandle(handle: string): Promise<SessionInfo<Session> | null> {
    this.#checkOpen()
    if (!isHandle(handle)) throw wrongHandle()
    return traced(this.#identity, 'get', async () => {
      const found = await this.#records.read(handle)
      if (found === undefined) return { outcome: 'miss', value: null }
      const info = found === 'unreadable' ? undefined : this.#loader.infoOf(handle, found.record)
      if (info === undefined) return { outcome: 'unreadable', value: null }
      return { outcome: 'hit', value: info as SessionInfo<Session> }
    })
  }

  /** The sessions of this user, last used first. Needs `userOf`. */
  async listByUser(userId: string | number): Promise<UserSession<Session>[]> {
    const user = this.#checkUser(userId)
    return traced(this.#identity, 'listByUser', async () => ({
      outcome: 'done',
      value: (await this.#users.list(user)) as UserSession<Session>[],
    }))
  }

  /**
   * Ends all sessions of this user that exist now, and answers how many that were. When it resolves they are gone for good:
   * also one that another request is changing at this moment does not come back. Needs `userOf`.
   * @param except the id of a session that stays, such as `request.session.sessionId`
   */
  async destroyByUser(userId: string | number, { except }: { except?: string | undefined } = {}): Promise<number> {
    const user = this.#checkUser(userId)
    const kept = except === undefined ? undefined : keyOf(except)
    return traced(this.#identity, 'destroyByUser', async () => {
      const removed = await this.#users.destroy(user, kept)
      return { outcome: 'done', value: removed, removed }
    })
  }

  /**
   * Ends the session with this handle, and answers whether there was one.
   * @param userId ends it only if it is this user's, and answers false for anything else: for a handle that a browser sent,
   * which may be of somebody else's session, or none at all. Needs `userOf`
   */
  async destroyByHandle(handle: string, { userId }: { userId?: string | number | undefined } = {}): Promise<boolean> {
    const user = userId === undefined ? undefined : this.#checkUser(userId)
    this.#checkOpen()
    if (!isHandle(handle)) {
      if (user !== undefined) return false
      throw wrongHandle()
    }
    const remove = () => (user === undefined ? this.#saver.remove(handle) : this.#users.destroyOne(user, handle))
    return traced(this.#identity, 'destroy', () =>
      andThen(remove(), (removed) => ({ outcome: removed ? 'removed' : 'miss', value: removed })),
    )
  }

  /** Whose session this is, by the option `userOf`; undefined when it is nobody's. */
  userOf(session: Session): string | undefined {
    this.#checkByUser()
    return userIdFrom(this.#settings.userOf?.(session), 'what userOf answers')
  }

  /** The handle of the session with this id, as lists show it. */
  handleOf(sessionId: string): string {
    return keyOf(sessionId)
  }

  /**
   * Goes over all sessions and notes down whose each is, and answers how many were changed. To be run once, when `userOf`
   * was set or changed on a store in use; without it each session gets its user when it is next changed or touched.
   */
  async index(): Promise<number> {
    if (!this.#settings.userOf) throw new TypeError('index() needs the option userOf')
    const { scan } = this.#records
    return this.#runWhole('index', 'list its sessions', scan, async (scan) => {
      let changed = 0
      for await (const { records } of this.#batches(scan)) {
        for (const [n, { key }] of records.entries()) {
          if (await this.#saver.index(key)) changed += 1
          if (n % 100 === 99) await nextTurn() // requests go on where a backend answers at once
        }
      }
      return changed
    })
  }

  /**
   * Deletes what has expired some time ago, and answers how many sessions that were. Runs by itself every `pruneInterval`;
   * on servers that collect expired sessions themselves there is nothing to do. Two calls at once are one.
   * @param onProgress called after each batch, with how many were deleted so far; of two calls at once that of the first
   */
  async prune({ onProgress }: { onProgress?: (removed: number) => void } = {}): Promise<number> {
    this.#checkOpen()
    this.#pruning ??= Promise.resolve(traced(this.#identity, 'prune', () => this.#pruneAll(onProgress))).finally(() => {
      this.#pruning = undefined
    })
    return this.#pruning
  }

  /**
   * Resolves when the server answers.
   * @param timeout how long to wait, in ms; by default the store's `timeout`. A health check has to know sooner than a
   * request that its answer is no
   */
  async ping({ timeout }: { timeout?: number | undefined } = {}): Promise<void> {
    this.#checkOpen()
    checkOptions({ timeout }, { timeout: TIMEOUT })
    return traced(this.#identity, 'ping', async () => {
      const limit = timeout === undefined ? undefined : { deadline: performance.now() + timeout }
      await (this.backend.ping ? this.backend.ping(undefined, limit) : this.backend.read(keyOf('ping'), limit))
      return { outcome: 'done', value: undefined }
    })
  }

  /**
   * What an operator should know of the server and put right, the worst first; an empty list when all is well. Looks at its
   * settings and figures, never at a session, and changes nothing. For a tool or the start of an application, not for each
   * request.
   */
  async check(): Promise<Finding[]> {
    const { maxBytes, encryptionKeys } = this.#settings
    const dataBytes = encryptionKeys?.[0] ? sealedBytes(maxBytes, encryptionKeys[0]) : maxBytes
    return this.#runWhole('check', 'check its server', this.backend.check, async (check) => {
      const findings = await check({ dataBytes })
      return [...findings].sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity))
    })
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

  /**
   * The plugin's `regenerate()` stores the new session in the callback of ending the old one. If that had been ended by
   * somebody else meanwhile, what the new one carries over is data of a session that was logged out. And the two are one
   * request, which waits for one timeout.
   */
  #callBack(callback: Callback<void>, error: unknown, ended: Ended): void {
    this.#ended = ended
    try {
      callback(error)
    } finally {
      this.#ended = undefined // before any other request is heard
    }
  }

  #save(sessionId: string, session: Session, touchOnly: boolean): Awaitable<Traced<undefined>> {
    if (typeof session !== 'object' || session === null) throw new TypeError('the session must be an object')
    const key = this.#saver.keyOf(sessionId, session)
    const ended = isPluginSession(session) ? this.#ended : undefined
    this.#ended = undefined
    if (ended?.byOthers && holdsData(session)) {
      this.#saver.bar(key)
      return { outcome: 'dropped', value: undefined }
    }
    const limit: Limit = { deadline: 0 }
    return andThen(this.#saver.save(key, session, touchOnly, limit, ended?.waited), (saved) => {
      const { batchSize } = limit
      const rest = batchSize === undefined ? { value: undefined } : { value: undefined, batchSize }
      return saved instanceof Refused
        ? { ...rest, outcome: 'refused', error: saved.error }
        : { ...rest, outcome: saved }
    })
  }

  async #pruneAll(onProgress?: (removed: number) => void): Promise<Traced<number>> {
    const { prune } = this.backend
    let total = 0
    if (prune) {
      const cutoff = this.#cutoff(PRUNE_MARGIN)
      for await (const { removed } of this.#batches((from) => prune(cutoff, from))) {
        total += removed
        onProgress?.(total)
      }
    }
    return { outcome: 'done', value: total, removed: total }
  }

  /** @param margin how long ago a session must have ended, in ms */
  #cutoff(margin = 0): Cutoff {
    const expiresAt = this.#settings.now() - margin
    return { expiresAt, createdAt: Math.max(expiresAt - this.#settings.absoluteTimeout, -MAX_EXPIRES_AT) }
  }

  /** All batches of an operation over the whole store, with a rest after each: requests first. */
  async *#batches<B extends Batch>(next: (from: string | undefined) => Awaitable<B>): AsyncGenerator<B> {
    for (let from: string | undefined; ; ) {
      const begun = performance.now()
      const batch = await next(from)
      const took = performance.now() - begun
      yield batch
      from = batch.next
      if (from === undefined) return
      await sleep(Math.min(REST * took, this.#settings.timeout))
      this.#checkOpen()
    }
  }

  #run<T>(operation: Operation, callback: Callback<T> | undefined, work: () => Awaitable<Traced<T>>) {
    checkCallback(callback)
    return answer(
      () =>
        traced(this.#identity, operation, () => {
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
    return traced(this.#identity, operation, async () => ({ outcome: 'done', value: await work(verb) }))
  }

  #checkUser(userId: unknown): string {
    this.#checkOpen()
    this.#checkByUser()
    const user = userIdFrom(userId, 'the user id')
    if (user === undefined) throw new TypeError('the user id must be a string or a number, and not empty')
    return user
  }

  #checkByUser(): void {
    if (!this.#users.isSupported) throw new SessionUnsupported(this.backend.name, 'know sessions by their user')
    if (!this.#settings.userOf)
      throw new TypeError(
        'sessions are known by user with the option userOf only, such as userOf: (session) => session.user',
      )
  }

  #checkOpen(): void {
    if (this.#closing) throw new SessionStoreClosed(this.backend.name)
  }
}

function isHandle(value: unknown): value is string {
  return typeof value === 'string' && HANDLE.test(value)
}

function wrongHandle(): TypeError {
  return new TypeError('the handle must be one that listByUser, scan or handleOf answered')
}
