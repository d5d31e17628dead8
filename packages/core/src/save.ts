import { setTimeout as sleep } from 'node:timers/promises'
import type { Backend, SessionRecord, StoredRecord } from './backend.ts'
import type { Codec } from './codec.ts'
import type { Outcome } from './diagnostics.ts'
import { SessionConflict } from './errors.ts'
import { cookieExpiry, expiryOf, isExpired, leastTouch, mergeExpiry } from './expiry.ts'
import type { Guard } from './guard.ts'
import { merge } from './merge.ts'
import type { SessionData, Settings } from './options.ts'
import { type Line, WriterQueue } from './queue.ts'
import { Snapshot } from './snapshot.ts'

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
  /** On the clock of `performance.now()`. */
  deadline: number
}

/** Decides what a save costs: nothing, a touch, or a write; and what to do when another writer was faster. */
export class Saver {
  readonly #backend: Backend
  readonly #guard: Guard
  readonly #codec: Codec
  readonly #settings: Settings
  readonly #queue = new WriterQueue()

  constructor(backend: Backend, guard: Guard, codec: Codec, settings: Settings) {
    this.#backend = backend
    this.#guard = guard
    this.#codec = codec
    this.#settings = settings
  }

  /** Leaves the mark on a loaded session by which `save` will recognise it. */
  snapshot(key: string, stored: StoredRecord): Snapshot {
    return new Snapshot(this, key, stored.record.data, stored)
  }

  /** @param touchOnly the data stays as it is, whatever the session holds */
  async save(key: string, session: object, deadline: number, touchOnly = false): Promise<Outcome> {
    const cookieExpiresAt = cookieExpiry((session as SessionData).cookie)
    const text = touchOnly ? undefined : this.#codec.encode(session)
    const save: Save = { key, session, text, cookieExpiresAt, deadline }
    if (!this.#queue.isBusy(key) && this.#nothingToSave(save)) return 'skipped'
    return this.#inTurn(key, deadline, (line) => this.#saveInTurn(save, line))
  }

  /** Answers whether there was one. */
  remove(key: string, deadline: number): Promise<boolean> {
    return this.#inTurn(key, deadline, (line) => this.#remove(key, deadline, line))
  }

  #inTurn<T>(key: string, deadline: number, task: (line: Line) => Promise<T>): Promise<T> {
    return this.#queue.run(key, (turn) => this.#guard.wait(deadline, turn), task)
  }

  #nothingToSave({ key, session, text, cookieExpiresAt }: Save): boolean {
    const snapshot = Snapshot.of(session, this, key)
    if (snapshot === undefined || (text !== undefined && text !== snapshot.base)) return false
    const now = this.#settings.now()
    const { createdAt, expiresAt: stored } = snapshot.stored.record
    const ours = expiryOf(cookieExpiresAt, createdAt, now, this.#settings)
    return !isExpired(stored, now) && ours >= stored && !this.#worthTouching(stored, ours, now)
  }

  #worthTouching(stored: number, next: number, now: number): boolean {
    const gain = next - stored
    return gain > 0 && gain >= leastTouch(next, now, this.#settings.touchInterval)
  }

  async #saveInTurn(save: Save, line: Line): Promise<Outcome> {
    const { key, session, text, cookieExpiresAt, deadline } = save
    const snapshot =
      Snapshot.of(session, this, key) ?? (text === undefined ? await this.#load(key, deadline) : undefined)
    if (snapshot === undefined) return text === undefined ? 'dropped' : this.#saveNew(save, line)

    const now = this.#settings.now()
    const loaded = snapshot.stored.record
    const ours = expiryOf(cookieExpiresAt, loaded.createdAt, now, this.#settings)
    if (ours < loaded.expiresAt && isExpired(ours, now)) {
      await this.#remove(key, deadline, line)
      return 'expired'
    }

    let stored: StoredRecord | undefined = line.latest ?? snapshot.stored
    // Another request may have prolonged it since; if not, it has expired and must not come back.
    if (isExpired(stored.record.expiresAt, now)) stored = await this.#readLive(key, deadline)
    if (stored === undefined) return this.#gone(line)

    const changed = text !== undefined && text !== snapshot.base
    const next = mergeExpiry(loaded.expiresAt, stored.record.expiresAt, ours)
    if (!changed && next >= stored.record.expiresAt) {
      if (!this.#worthTouching(stored.record.expiresAt, next, now)) return 'skipped'
      const found = await this.#guard.call(deadline, () => this.#backend.touch(key, next))
      if (!found) return this.#gone(line)
      line.latest = {
        record: { ...stored.record, expiresAt: next },
        version: stored.version,
      }
      new Snapshot(this, key, snapshot.base, line.latest).attachTo(session)
      return 'touched'
    }
    return this.#replace(save, line, snapshot, stored, ours)
  }

  async #saveNew({ key, session, text = '', cookieExpiresAt, deadline }: Save, line: Line): Promise<Outcome> {
    const now = this.#settings.now()
    const expiresAt = expiryOf(cookieExpiresAt, now, now, this.#settings)
    if (isExpired(expiresAt, now)) {
      await this.#remove(key, deadline, line)
      return 'expired'
    }
    const record: SessionRecord = { data: text, createdAt: now, expiresAt }
    const version = await this.#guard.call(deadline, () => this.#backend.write(key, record))
    line.latest = { record, version }
    new Snapshot(this, key, text, line.latest).attachTo(session)
    return 'written'
  }

  async #replace(save: Save, line: Line, snapshot: Snapshot, first: StoredRecord, ours: number): Promise<Outcome> {
    const { key, session, deadline, text = snapshot.base } = save
    const { base } = snapshot
    let stored: StoredRecord | undefined = first
    for (let attempt = 1; ; attempt += 1) {
      const { record, version } = stored
      const data = this.#resolve(base, record.data, text)
      if (data === undefined) return this.#gone(line)
      const expiresAt = mergeExpiry(snapshot.stored.record.expiresAt, record.expiresAt, ours)
      const next: SessionRecord = { ...record, data, expiresAt }
      const answer = await this.#guard.call(deadline, () => this.#backend.replace(key, next, version))
      if (answer === 'missing') return this.#gone(line)
      if (answer !== 'conflict') {
        line.latest = { record: next, version: answer }
        new Snapshot(this, key, text, line.latest).attachTo(session)
        return record.data === base ? 'written' : 'merged'
      }
      if (attempt === MAX_ATTEMPTS) throw new SessionConflict(attempt)
      // The first conflict is news; a second one means a crowd of processes, which a random pause spreads out.
      if (attempt > 1) await sleep(Math.random() * Math.min(2 ** attempt, MAX_PAUSE))
      stored = await this.#readLive(key, deadline)
      if (stored === undefined) return this.#gone(line)
    }
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
    if (typeof resolved !== 'object' || resolved === null || 'then' in resolved) {
      throw new TypeError('onConflict must answer the session to store, an object and not a promise')
    }
    return this.#codec.encodeData(resolved)
  }

  async #load(key: string, deadline: number): Promise<Snapshot | undefined> {
    const stored = await this.#readLive(key, deadline)
    return stored && this.snapshot(key, stored)
  }

  async #readLive(key: string, deadline: number): Promise<StoredRecord | undefined> {
    const stored = await this.#guard.call(deadline, () => this.#backend.read(key))
    return stored && !isExpired(stored.record.expiresAt, this.#settings.now()) ? stored : undefined
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
