import { setTimeout as sleep } from 'node:timers/promises'
import type { Backend, SessionRecord, StoredRecord } from './backend.ts'
import type { Codec } from './codec.ts'
import type { Outcome } from './diagnostics.ts'
import { SessionConflict } from './errors.ts'
import { askedAtLoad, cookieExpiry, expiryOf, isExpired, leastTouch, mergeExpiry } from './expiry.ts'
import type { Guard } from './guard.ts'
import { merge } from './merge.ts'
import type { SessionData, Settings } from './options.ts'
import { type Line, WriterQueue } from './queue.ts'
import { Snapshot, type SnapshotState } from './snapshot.ts'

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
  /** Whether each request moves the cookie's expiry by itself. If not, a move is a change like any other. */
  rolling: boolean
  /** On the clock of `performance.now()`. */
  deadline: number
}

/** What a save of a loaded session works with. All times in ms since the epoch. */
interface Work extends SnapshotState {
  line: Line
  /** The expiry that the request asks for now. */
  ours: number
}

/**
 * Decides what a save costs, and what to do when another writer was faster:
 *
 * - a session without a snapshot is new: `write`;
 * - nothing changed, and the expiry moves by too little: nothing is sent;
 * - only the expiry moves on: `touch`;
 * - anything else: `replace` at the version that was loaded. On a conflict, merge with what is stored by now and try again;
 *   what is gone stays gone.
 */
export class Saver {
  readonly #backend: Backend
  readonly #guard: Guard
  readonly #codec: Codec
  readonly #settings: Settings
  readonly #queue = new WriterQueue()
  /** How many saves of one session object are under way: the last of them decides what its state is. */
  readonly #underWay = new WeakMap<object, number>()

  constructor(backend: Backend, guard: Guard, codec: Codec, settings: Settings) {
    this.#backend = backend
    this.#guard = guard
    this.#codec = codec
    this.#settings = settings
  }

  /** The mark on a loaded session by which `save` will recognise it. */
  snapshot(key: string, stored: StoredRecord, session: object): Snapshot {
    return new Snapshot(this, key, this.#loadedState(stored, session))
  }

  /** @param touchOnly the data stays as it is, whatever the session holds */
  async save(key: string, session: object, deadline: number, touchOnly = false): Promise<Outcome> {
    const { cookie } = session as SessionData
    const cookieExpiresAt = cookieExpiry(cookie)
    const rolling = cookieExpiresAt === undefined || typeof maxAgeOf(session) === 'number'
    const text = touchOnly ? undefined : this.#codec.encode(session)
    const save: Save = { key, session, text, cookieExpiresAt, rolling, deadline }
    const others = this.#underWay.get(session) ?? 0
    if (others === 0 && this.#nothingToSave(save)) return 'skipped'
    this.#underWay.set(session, others + 1)
    try {
      return await this.#inTurn(key, deadline, (line) => this.#saveInTurn(save, line))
    } finally {
      this.#underWay.set(session, (this.#underWay.get(session) ?? 1) - 1)
    }
  }

  /** Answers whether there was one. */
  remove(key: string, deadline: number): Promise<boolean> {
    return this.#inTurn(key, deadline, (line) => this.#remove(key, deadline, line))
  }

  #inTurn<T>(key: string, deadline: number, task: (line: Line) => Promise<T>): Promise<T> {
    return this.#queue.run(key, (turn) => this.#guard.wait(deadline, turn), task)
  }

  #nothingToSave({ key, session, text, cookieExpiresAt }: Save): boolean {
    const state = Snapshot.of(session, this, key)
    if (state === undefined || (text !== undefined && text !== state.base)) return false
    const now = this.#settings.now()
    const { createdAt, expiresAt: stored } = state.stored.record
    const ours = expiryOf(cookieExpiresAt, createdAt, now, this.#settings)
    if (ours < state.asked || isExpired(stored, now)) return false
    return !this.#worthTouching(stored, mergeExpiry(state.asked, stored, ours), now)
  }

  #worthTouching(stored: number, next: number, now: number): boolean {
    const gain = next - stored
    return gain > 0 && gain >= leastTouch(next, now, this.#settings.touchInterval)
  }

  async #saveInTurn(save: Save, line: Line): Promise<Outcome> {
    const { key, session, text, deadline } = save
    let state = Snapshot.of(session, this, key)
    if (state === undefined) {
      if (text !== undefined) return this.#saveNew(save, text, line)
      const stored = await this.#readLive(key, deadline)
      if (stored === undefined) return this.#gone(line)
      state = this.#loadedState(stored, session)
    }
    const { createdAt } = state.stored.record
    const ours = expiryOf(save.cookieExpiresAt, createdAt, this.#settings.now(), this.#settings)
    return this.#saveLoaded(save, { ...state, line, ours })
  }

  async #saveNew({ key, session, cookieExpiresAt, deadline }: Save, data: string, line: Line): Promise<Outcome> {
    const now = this.#settings.now()
    const expiresAt = expiryOf(cookieExpiresAt, now, now, this.#settings)
    if (isExpired(expiresAt, now)) {
      await this.#remove(key, deadline, line)
      return 'expired'
    }
    this.#codec.checkSize(data)
    const record: SessionRecord = { data, createdAt: now, expiresAt }
    const version = await this.#guard.call(deadline, () => this.#backend.write(key, record))
    const stored = { record, version }
    line.latest = stored
    new Snapshot(this, key, { base: data, stored, asked: expiresAt, loadedAt: now }).attachTo(session)
    return 'written'
  }

  async #saveLoaded(save: Save, work: Work): Promise<Outcome> {
    const { key, text, deadline, rolling } = save
    const { base, asked, ours, line } = work
    const now = this.#settings.now()
    if (ours < asked && isExpired(ours, now)) {
      await this.#remove(key, deadline, line)
      return 'expired'
    }
    const changed = text !== undefined && text !== base
    let stored = await this.#startingPoint(save, work, changed)
    for (let attempt = 1; stored !== undefined; attempt += 1) {
      const { expiresAt } = stored.record
      const next = mergeExpiry(asked, expiresAt, ours)
      if (!changed && next >= expiresAt && !this.#worthTouching(expiresAt, next, now)) return 'skipped'
      const touches = !changed && next > expiresAt && rolling
      const outcome = await (touches ? this.#touch(save, work, stored, next) : this.#replace(save, work, stored, next))
      if (outcome !== 'conflict') return outcome
      if (attempt === MAX_ATTEMPTS) throw new SessionConflict(attempt)
      // The first conflict is news; a second one means a crowd of processes, which a random pause spreads out.
      const pause = attempt > 1 ? Math.random() * Math.min(2 ** attempt, MAX_PAUSE) : 0
      if (pause > 0) await sleep(Math.max(0, Math.min(pause, deadline - performance.now())))
      stored = await this.#readLive(key, deadline, work.stored.record)
    }
    return this.#gone(line)
  }

  /** The record to begin with: what we believe is stored, or what is if that belief is too old. */
  async #startingPoint(save: Save, work: Work, changed: boolean): Promise<StoredRecord | undefined> {
    const { line, stored: loaded, loadedAt, ours } = work
    const now = this.#settings.now()
    const stored = line.latest ?? loaded
    // A slow request asks again: others may have prolonged the session, and a write would undo that.
    const slow = changed && !line.latest && now - loadedAt > leastTouch(ours, now, this.#settings.touchInterval)
    // And if nobody has, it may have expired, and must not come back.
    const expired = isExpired(stored.record.expiresAt, now)
    const another = stored.record.createdAt !== loaded.record.createdAt
    if (slow || expired || another) return this.#readLive(save.key, save.deadline, loaded.record)
    return stored
  }

  async #touch(save: Save, work: Work, stored: StoredRecord, expiresAt: number): Promise<Outcome | 'conflict'> {
    const { key, deadline } = save
    const { record, version } = stored
    const touched = await this.#guard.call(deadline, () => this.#backend.touch(key, expiresAt, version))
    if (!touched) return 'conflict'
    this.#saved(save, work, work.base, { record: { ...record, expiresAt }, version })
    return 'touched'
  }

  async #replace(save: Save, work: Work, stored: StoredRecord, expiresAt: number): Promise<Outcome | 'conflict'> {
    const { key, deadline, text = work.base } = save
    const { record, version } = stored
    const data = this.#resolve(work.base, record.data, text)
    if (data === undefined) return this.#gone(work.line)
    if (data !== record.data) this.#codec.checkSize(data)
    const next: SessionRecord = { ...record, data, expiresAt }
    const answer = await this.#guard.call(deadline, () => this.#backend.replace(key, next, version))
    if (answer === 'conflict') return answer
    if (answer === 'missing') return this.#gone(work.line)
    this.#saved(save, work, text, { record: next, version: answer })
    return record.data === work.base ? 'written' : 'merged'
  }

  /** The text to store, given what we loaded, what is stored now, and what we have; undefined if that cannot be read. */
  #resolve(base: string, theirs: string, ours: string): string | undefined {
    const { onConflict } = this.#settings
    if (theirs === base) return ours
    if (ours === base) return theirs
    if (onConflict === 'overwrite') return ours
    const [a, b, c] = [this.#codec.parse(base), this.#codec.parse(theirs), this.#codec.parse(ours)]
    if (a === undefined || b === undefined || c === undefined) return undefined
    if (onConflict === 'merge') return this.#codec.encodeData(merge(a, b, c))
    const resolved = onConflict(a, b, c)
    if (typeof resolved !== 'object' || resolved === null || typeof resolved.then === 'function') {
      throw new TypeError('onConflict must answer the session to store, an object and not a promise')
    }
    return this.#codec.encodeData(resolved)
  }

  #loadedState(stored: StoredRecord, session: object): SnapshotState {
    const { now, touchInterval } = this.#settings
    const loadedAt = now()
    const asked = askedAtLoad(stored.record.expiresAt, maxAgeOf(session), loadedAt, touchInterval)
    return { base: stored.record.data, stored, asked, loadedAt }
  }

  #saved({ key, session }: Save, { line, ours, loadedAt }: Work, base: string, stored: StoredRecord): void {
    line.latest = stored
    new Snapshot(this, key, { base, stored, asked: ours, loadedAt }).attachTo(session)
  }

  /** @param loaded the session it must still be, not another one that began since under the same id */
  async #readLive(key: string, deadline: number, loaded?: SessionRecord): Promise<StoredRecord | undefined> {
    const stored = await this.#guard.call(deadline, () => this.#backend.read(key))
    if (stored === undefined || isExpired(stored.record.expiresAt, this.#settings.now())) return undefined
    return loaded === undefined || loaded.createdAt === stored.record.createdAt ? stored : undefined
  }

  async #remove(key: string, deadline: number, line: Line): Promise<boolean> {
    line.latest = undefined
    return this.#guard.call(deadline, () => this.#backend.remove(key))
  }

  #gone(line: Line): Outcome {
    line.latest = undefined
    return 'dropped'
  }
}

function maxAgeOf(session: object): unknown {
  return ((session as SessionData).cookie as SessionData | null | undefined)?.originalMaxAge
}
