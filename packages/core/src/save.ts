import { setTimeout as sleep } from 'node:timers/promises'
import { Adopter } from './adopt.ts'
import { andThen, isPromise } from './awaitable.ts'
import type { Awaitable, SessionRecord, StoredRecord } from './backend.ts'
import type { Codec } from './codec.ts'
import type { Outcome } from './diagnostics.ts'
import { SessionConflict, SessionStoreUnavailable } from './errors.ts'
import { expiryOf, isExpired, leastTouch } from './expiry.ts'
import { RecentKeys } from './face/recent-keys.ts'
import { askedAtLoad, cookieExpiry, isPluginSession, isRolling, plainSession } from './face/session.ts'
import { Snapshot, type SnapshotState } from './face/snapshot.ts'
import { Waited } from './face/waited.ts'
import type { Guard } from './guard/guard.ts'
import type { Records } from './guard/guarded-backend.ts'
import type { Limit } from './guard/limit.ts'
import { keyOf } from './key.ts'
import { KeyedQueue, type Writers } from './keyed-queue.ts'
import { merge } from './merge.ts'
import { type Plan, planSave } from './plan.ts'
import type { Settings } from './settings.ts'
import { type Users, userIdFrom } from './users.ts'
import { newVersion } from './version.ts'

/** How often a save tries again after other processes changed the session under it. */
const MAX_ATTEMPTS = 20
/** The longest pause before such a try, in ms. */
const MAX_PAUSE = 64

/** One save under way: what the application has, and what it asks for. */
interface Save {
  key: string
  session: object
  /** The serialized session; undefined for a touch, which leaves the data as it is. */
  text: string | undefined
  /** What the cookie says, in ms since the epoch; undefined when the cookie has no expiry. */
  cookieExpiresAt: number | undefined
  rolling: boolean
  limit: Limit
  waited: Waited
}

/** A save of a loaded session when its turn has come. */
interface Work extends Save {
  loaded: SnapshotState
  writers: Writers
  changed: boolean
  /** The expiry that the request asks for now, in ms since the epoch. */
  expiresAt: number
  /** The store's clock when the save's turn came, in ms since the epoch. */
  now: number
}

/** What a save came to: `Refused` when the server took no touch, and the request goes on without. */
export type Saved = Outcome | Refused

export class Refused {
  readonly error: unknown

  constructor(error: unknown) {
    this.error = error
  }
}

/**
 * Carries out what `planSave` decides, and handles writers that were faster: a `replace` names the version that was
 * loaded; on a conflict, both sides' changes are merged and tried again; what is gone stays gone.
 */
export class Saver {
  readonly #guard: Guard
  readonly #records: Records
  readonly #users: Users
  readonly #adopter: Adopter | undefined
  readonly #codec: Codec
  readonly #settings: Settings
  readonly #queue = new KeyedQueue()
  readonly #recent = new RecentKeys()
  /** How many saves of one session object wait for the server: the last of them decides what its state is. */
  readonly #underWay = new Map<object, number>()
  /** Of new sessions whose save failed; for others their snapshot has it. */
  readonly #waited = new WeakMap<object, Waited>()

  constructor(guard: Guard, records: Records, users: Users, codec: Codec, settings: Settings) {
    this.#guard = guard
    this.#records = records
    this.#users = users
    this.#codec = codec
    this.#settings = settings
    if (settings.adopt) this.#adopter = new Adopter(settings.adopt, guard, records, codec, settings)
  }

  /** To be told of each key that was asked for, and whether there was a session. */
  onLoad(key: string, wasThere: boolean): void {
    this.#recent.add(key, wasThere)
  }

  /** Whether a session that this process had loaded was ended by somebody else: `removed` is what `remove` answered. */
  wasEndedElsewhere(key: string, removed: boolean): boolean {
    return !removed && this.#recent.wasThere(key)
  }

  /** No session is to begin under this key. */
  bar(key: string): void {
    this.#recent.add(key, false)
  }

  /** The mark on a loaded session by which `save` will recognise it. */
  snapshot(sessionId: string, key: string, stored: StoredRecord, session: object, waited: Waited): Snapshot {
    return new Snapshot(this, key, this.#loadedState(stored, session, waited), sessionId)
  }

  /** The key that this session is saved under. */
  keyOf(sessionId: string, session: object): string {
    return Snapshot.keyOf(session, this, sessionId) ?? keyOf(sessionId)
  }

  /**
   * @param touchOnly the data stays as it is, whatever the session holds
   * @param limit its deadline is set here
   * @param before how long the request has waited for something else, in ms
   */
  save(key: string, session: object, touchOnly: boolean, limit: Limit, before?: number): Awaitable<Saved> {
    const cookieExpiresAt = cookieExpiry(session)
    const rolling = isRolling(session, cookieExpiresAt)
    const text = touchOnly ? undefined : this.#codec.encode(plainSession(session))
    const loaded = Snapshot.of(session, this, key)
    const others = this.#underWay.get(session) ?? 0
    if (loaded !== undefined && others === 0 && this.#isNothing(loaded, text, cookieExpiresAt, rolling))
      return 'skipped'
    const waited = loaded?.waited ?? this.#waited.get(session) ?? new Waited(before)
    const begun = performance.now()
    limit.deadline = this.#guard.deadline(waited.within(this.#settings.timeout))
    const save: Save = { key, session, text, cookieExpiresAt, rolling, limit, waited }
    const outcome = this.#inTurn(key, limit, (writers) => this.#saveInTurn(save, writers))
    if (!isPromise(outcome)) return outcome
    this.#underWay.set(session, others + 1)
    const onEnd = () => {
      waited.add(this.#guard.waited(begun, limit))
      const left = (this.#underWay.get(session) ?? 1) - 1
      if (left > 0) this.#underWay.set(session, left)
      else this.#underWay.delete(session)
    }
    return outcome.then(
      (saved) => {
        onEnd()
        return saved
      },
      (error) => {
        onEnd()
        this.#waited.set(session, waited)
        throw error
      },
    )
  }

  /** Answers whether there was one. */
  remove(key: string, sessionId?: string, limit: Limit = { deadline: this.#guard.deadline() }): Awaitable<boolean> {
    this.#recent.add(key, this.#recent.wasThere(key))
    return this.#inTurn(key, limit, (writers) => {
      const adopter = this.#adopter
      if (adopter === undefined || sessionId === undefined) return this.#remove(key, limit, writers)
      const begun = performance.now()
      return adopter.end(sessionId, limit, async () => {
        // It ends in ours though the old store took all the time there was.
        const rest = { deadline: this.#guard.deadline(this.#guard.waited(begun, limit)) }
        return this.#remove(key, rest, writers)
      })
    })
  }

  /**
   * Takes the session over from the old store; undefined when that has none either.
   * @param limit that of the request, which has waited for ours before
   */
  async adopt(sessionId: string, key: string, limit: Limit): Promise<StoredRecord | 'unreadable' | undefined> {
    return this.#inTurn(key, limit, async () => {
      const found = await this.#records.read(key, limit) // the request before may have adopted it
      return found ?? this.#adopter?.adopt(sessionId, key, limit, (session) => this.#userOf(session))
    })
  }

  /** Notes down whose the session under this key is; answers whether that was something new. */
  async index(key: string): Promise<boolean> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const stored = await this.#records.read(key)
      if (stored === undefined || stored === 'unreadable') return false
      const session = this.#codec.parse(stored.record.data)
      const userId = session && this.#userOf(session)
      if (session === undefined || userId === stored.record.userId) return false
      const answer = await this.#records.replace(key, withUser(stored.record, userId), newVersion(), stored.version)
      if (answer !== 'conflict') return answer === 'replaced'
    }
    throw new SessionConflict(MAX_ATTEMPTS)
  }

  #inTurn<T>(key: string, limit: Limit, task: (writers: Writers) => Awaitable<T>): Awaitable<T> {
    return this.#queue.run(key, (turn) => this.#guard.wait(turn, limit), task)
  }

  /** A look before anything else, which needs no turn: whether all that the session asks for is stored. */
  #isNothing(
    loaded: SnapshotState,
    text: string | undefined,
    cookieExpiresAt: number | undefined,
    rolling: boolean,
  ): boolean {
    if (text !== undefined && text !== loaded.base) return false
    const { now, touchInterval } = this.#settings
    const at = now()
    const { createdAt, expiresAt: storedExpiresAt } = loaded.stored.record
    if (isExpired(storedExpiresAt, at)) return false
    const expiresAt = expiryOf(cookieExpiresAt, createdAt, at, this.#settings)
    const ours = { expiresAt, changed: false, rolling }
    return planSave(loaded, loaded.stored.record, ours, at, touchInterval).do === 'skip'
  }

  #saveInTurn(save: Save, writers: Writers): Awaitable<Saved> {
    const { key, session, text, limit } = save
    const loaded = Snapshot.of(session, this, key)
    if (loaded !== undefined) return this.#saveLoaded(save, loaded, writers)
    const isNew = text !== undefined && !(isPluginSession(session) && this.#recent.has(key))
    if (isNew) return this.#saveNew(save, text, writers)
    return andThen(this.#readLive(key, limit), (stored) =>
      stored === undefined
        ? this.#gone(writers)
        : this.#saveLoaded(save, this.#loadedState(stored, session, save.waited), writers),
    )
  }

  #saveNew(save: Save, data: string, writers: Writers): Awaitable<Outcome> {
    const { key, limit } = save
    const now = this.#settings.now()
    const expiresAt = expiryOf(save.cookieExpiresAt, now, now, this.#settings)
    const ours = { expiresAt, changed: true, rolling: save.rolling }
    if (planSave(undefined, undefined, ours, now, this.#settings.touchInterval).do === 'end') {
      return andThen(this.#remove(key, limit, writers), () => 'expired')
    }
    this.#codec.checkSize(data)
    const record = withUser({ data, createdAt: now, expiresAt }, this.#userOf(save.session))
    const stored: StoredRecord = { record, version: newVersion() }
    return andThen(this.#records.write(key, record, stored.version, limit), () => {
      this.#saved(save, writers, { base: data, stored, asked: expiresAt, loadedAt: now, waited: save.waited })
      return this.#limited('written', undefined, record, key)
    })
  }

  #saveLoaded(save: Save, loaded: SnapshotState, writers: Writers): Awaitable<Saved> {
    const now = this.#settings.now()
    const expiresAt = expiryOf(save.cookieExpiresAt, loaded.stored.record.createdAt, now, this.#settings)
    const changed = save.text !== undefined && save.text !== loaded.base
    const work: Work = { ...save, loaded, writers, changed, expiresAt, now }
    const first = writers.latest ?? loaded.stored
    if (this.#plan(work, first).do === 'end' || !this.#isStale(work, first)) return this.#attempt(work, first, 1)
    return andThen(this.#readLive(save.key, save.limit, loaded.stored.record), (stored) =>
      this.#attempt(work, stored, 1),
    )
  }

  /** Whether what we believe is stored is too old to go by. */
  #isStale({ loaded, writers, changed, expiresAt, now }: Work, stored: StoredRecord): boolean {
    // A slow request asks again: others may have prolonged the session, and a write would undo that.
    const isSlow =
      changed && !writers.latest && now - loaded.loadedAt > leastTouch(expiresAt, now, this.#settings.touchInterval)
    // If nobody has, it may have expired, and must not come back.
    return isSlow || isExpired(stored.record.expiresAt, now) || !isSameSession(stored.record, loaded.stored.record)
  }

  /** @param stored what the server holds as far as we know; undefined when the session is gone */
  #attempt(work: Work, stored: StoredRecord | undefined, attempt: number): Awaitable<Saved> {
    if (stored === undefined) return this.#gone(work.writers)
    const plan = this.#plan(work, stored)
    if (plan.do === 'skip') return 'skipped'
    if (plan.do === 'end') return andThen(this.#remove(work.key, work.limit, work.writers), () => 'expired')
    const outcome = plan.do === 'touch' ? this.#moveExpiry(work, stored, plan) : this.#replace(work, stored, plan)
    return andThen(outcome, (came) => (came === 'conflict' ? this.#again(work, attempt) : came))
  }

  #plan(work: Work, { record }: StoredRecord): Plan {
    return planSave(work.loaded, record, work, work.now, this.#settings.touchInterval)
  }

  async #again(work: Work, attempt: number): Promise<Saved> {
    if (attempt === MAX_ATTEMPTS) throw new SessionConflict(attempt)
    // The first conflict is news; a second one means a crowd of processes, which a random pause spreads out.
    const pause = attempt > 1 ? Math.random() * Math.min(2 ** attempt, MAX_PAUSE) : 0
    if (pause > 0) await this.#guard.wait(sleep(pause), work.limit)
    const stored = await this.#readLive(work.key, work.limit, work.loaded.stored.record)
    return this.#attempt(work, stored, attempt + 1)
  }

  /** By a touch; by a write where the record does not say yet whose the session is, since `userOf` was set or changed. */
  #moveExpiry(work: Work, stored: StoredRecord, plan: Plan & { do: 'touch' }): Awaitable<Saved | 'conflict'> {
    const onFailure = (error: unknown) => {
      // A request that only reads need not fail because the server takes no writes: its session lives on for a while.
      const isTolerable = work.text !== undefined && error instanceof SessionStoreUnavailable
      if (!isTolerable || isExpired(stored.record.expiresAt, this.#settings.now())) throw error
      return new Refused(error)
    }
    let outcome: Awaitable<Outcome | 'conflict'>
    try {
      outcome = this.#isOfAnother(work, stored)
        ? this.#replace(work, stored, { ...plan, do: 'write' })
        : this.#touch(work, stored, plan)
    } catch (error) {
      return onFailure(error)
    }
    return isPromise(outcome) ? outcome.catch(onFailure) : outcome
  }

  #isOfAnother({ text, loaded, session }: Work, { record }: StoredRecord): boolean {
    return text !== undefined && record.data === loaded.base && this.#userOf(session, record) !== record.userId
  }

  #touch(work: Work, stored: StoredRecord, { expiresAt }: Plan & { do: 'touch' }): Awaitable<Outcome | 'conflict'> {
    const { key, limit, loaded, writers } = work
    const answer = this.#records.touch(key, expiresAt, stored.version, stored.record.userId, limit)
    return andThen(answer, (isTouched) => {
      if (!isTouched) return 'conflict'
      this.#saved(work, writers, {
        ...loaded,
        stored: { record: { ...stored.record, expiresAt }, version: stored.version },
        asked: work.expiresAt,
      })
      return 'touched'
    })
  }

  #replace(work: Work, stored: StoredRecord, { expiresAt }: Plan & { do: 'write' }): Awaitable<Outcome | 'conflict'> {
    const { key, limit, loaded, writers } = work
    const next = this.#resolve(work, stored.record)
    if (next === undefined) return this.#gone(writers)
    if (next.data !== stored.record.data) this.#codec.checkSize(next.data)
    const record = withUser({ ...stored.record, data: next.data, expiresAt }, next.userId)
    const version = newVersion()
    return andThen(this.#records.replace(key, record, version, stored.version, limit), (answer) => {
      if (answer === 'conflict') return answer
      if (answer === 'missing') return this.#gone(writers)
      const base = work.text ?? loaded.base
      this.#saved(work, writers, { ...loaded, base, stored: { record, version }, asked: work.expiresAt })
      return this.#limited(stored.record.data === loaded.base ? 'written' : 'merged', stored.record, record, key)
    })
  }

  /** What to store, given what we loaded, what is stored now, and what we have; undefined if that cannot be read. */
  #resolve(work: Work, stored: SessionRecord): { data: string; userId: string | undefined } | undefined {
    const { onConflict } = this.#settings
    const { base } = work.loaded
    const ours = work.text ?? base
    const theirs = stored.data
    const isOnlyTheirs = ours === base && theirs !== base
    if (work.text === undefined || isOnlyTheirs) return { data: theirs, userId: stored.userId }
    if (theirs === base || onConflict === 'overwrite') return { data: ours, userId: this.#userOf(work.session, stored) }
    const [a, b, c] = [this.#codec.parse(base), this.#codec.parse(theirs), this.#codec.parse(ours)]
    if (a === undefined || b === undefined || c === undefined) return undefined
    const resolved = onConflict === 'merge' ? merge(a, b, c) : onConflict(a, b, c)
    if (typeof resolved !== 'object' || resolved === null || typeof resolved.then === 'function') {
      throw new TypeError('onConflict must answer the session to store, an object and not a promise')
    }
    return { data: this.#codec.encode(resolved), userId: this.#userOf(resolved, stored) }
  }

  /** @param stored whose user stays where the store has no `userOf` */
  #userOf(session: object, stored?: SessionRecord): string | undefined {
    const { userOf } = this.#settings
    return userOf ? userIdFrom(userOf(session), 'what userOf answers') : stored?.userId
  }

  /** The outcome, once the user has no more sessions than are allowed: a session that changes hands is one more. */
  #limited(
    outcome: Outcome,
    before: SessionRecord | undefined,
    { userId }: SessionRecord,
    key: string,
  ): Awaitable<Outcome> {
    const isOneMore = userId !== undefined && userId !== before?.userId
    if (!isOneMore || this.#settings.maxPerUser === undefined) return outcome
    return this.#users.enforceLimit(userId, key).then(() => outcome)
  }

  #loadedState(stored: StoredRecord, session: object, waited: Waited): SnapshotState {
    const loadedAt = this.#settings.now()
    const asked = askedAtLoad(session, stored.record.expiresAt, loadedAt)
    return { base: stored.record.data, stored, asked, loadedAt, waited }
  }

  #saved({ key, session }: Save, writers: Writers, state: SnapshotState): void {
    writers.latest = state.stored
    new Snapshot(this, key, state).attachTo(session)
  }

  /** @param loaded the session it must still be, not another one that began since under the same id */
  #readLive(key: string, limit: Limit, loaded?: SessionRecord): Awaitable<StoredRecord | undefined> {
    return andThen(this.#records.read(key, limit), (stored) => {
      if (stored === undefined || stored === 'unreadable') return undefined
      if (isExpired(stored.record.expiresAt, this.#settings.now())) return undefined
      return loaded === undefined || isSameSession(loaded, stored.record) ? stored : undefined
    })
  }

  #remove(key: string, limit: Limit, writers: Writers): Awaitable<boolean> {
    writers.latest = undefined
    return this.#records.remove(key, limit)
  }

  #gone(writers: Writers): Outcome {
    writers.latest = undefined
    return 'dropped'
  }
}

function isSameSession(a: SessionRecord, b: SessionRecord): boolean {
  return a.createdAt === b.createdAt
}

function withUser({ userId: _, ...record }: SessionRecord, userId: string | undefined): SessionRecord {
  return userId === undefined ? record : { ...record, userId }
}
