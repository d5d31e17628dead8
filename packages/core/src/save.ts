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
    return new Snapshot(this, key, stored.record.data, stored, this.#settings.now())
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
    const { key, session, text, deadline } = save
    const snapshot = Snapshot.of(session, this, key)
    if (snapshot) return this.#saveLoaded(save, line, snapshot)
    if (text !== undefined) return this.#saveNew(save, text, line)
    const stored = await this.#readLive(key, deadline)
    return stored ? this.#saveLoaded(save, line, this.snapshot(key, stored)) : this.#gone(line)
  }

  async #saveLoaded(save: Save, line: Line, snapshot: Snapshot): Promise<Outcome> {
    const { key, text, deadline } = save
    const now = this.#settings.now()
    const loaded = snapshot.stored.record
    const ours = expiryOf(save.cookieExpiresAt, loaded.createdAt, now, this.#settings)
    if (ours < loaded.expiresAt && isExpired(ours, now)) {
      await this.#remove(key, deadline, line)
      return 'expired'
    }

    const changed = text !== undefined && text !== snapshot.base
    let stored: StoredRecord | undefined = line.latest ?? snapshot.stored
    // A slow request asks again: others may have prolonged the session, and a write would undo that. And if they have
    // not, it may have expired, and must not come back.
    const slow =
      changed && !line.latest && now - snapshot.loadedAt > leastTouch(ours, now, this.#settings.touchInterval)
    if (slow || isExpired(stored.record.expiresAt, now)) stored = await this.#readLive(key, deadline, loaded)

    for (let attempt = 1; stored !== undefined; attempt += 1) {
      const expiresAt = mergeExpiry(loaded.expiresAt, stored.record.expiresAt, ours)
      const outcome =
        changed || expiresAt < stored.record.expiresAt
          ? await this.#replace(save, line, snapshot, stored, expiresAt)
          : await this.#touch(save, line, snapshot, stored, expiresAt)
      if (outcome !== 'conflict') return outcome
      if (attempt === MAX_ATTEMPTS) throw new SessionConflict(attempt)
      // The first conflict is news; a second one means a crowd of processes, which a random pause spreads out.
      if (attempt > 1) await sleep(Math.random() * Math.min(2 ** attempt, MAX_PAUSE))
      stored = await this.#readLive(key, deadline, loaded)
    }
    return this.#gone(line)
  }

  async #touch(
    { key, session, deadline }: Save,
    line: Line,
    { base, loadedAt }: Snapshot,
    { record, version }: StoredRecord,
    expiresAt: number,
  ): Promise<Outcome | 'conflict'> {
    if (!this.#worthTouching(record.expiresAt, expiresAt, this.#settings.now())) return 'skipped'
    if (!(await this.#guard.call(deadline, () => this.#backend.touch(key, expiresAt, version)))) return 'conflict'
    line.latest = { record: { ...record, expiresAt }, version }
    new Snapshot(this, key, base, line.latest, loadedAt).attachTo(session)
    return 'touched'
  }

  async #replace(
    { key, session, deadline, text }: Save,
    line: Line,
    { base, loadedAt }: Snapshot,
    { record, version }: StoredRecord,
    expiresAt: number,
  ): Promise<Outcome | 'conflict'> {
    const ours = text ?? base
    const data = this.#resolve(base, record.data, ours)
    if (data === undefined) return this.#gone(line)
    const next: SessionRecord = { ...record, data, expiresAt }
    const answer = await this.#guard.call(deadline, () => this.#backend.replace(key, next, version))
    if (answer === 'conflict') return answer
    if (answer === 'missing') return this.#gone(line)
    line.latest = { record: next, version: answer }
    new Snapshot(this, key, ours, line.latest, loadedAt).attachTo(session)
    return record.data === base ? 'written' : 'merged'
  }

  async #saveNew({ key, session, cookieExpiresAt, deadline }: Save, data: string, line: Line): Promise<Outcome> {
    const now = this.#settings.now()
    const expiresAt = expiryOf(cookieExpiresAt, now, now, this.#settings)
    if (isExpired(expiresAt, now)) {
      await this.#remove(key, deadline, line)
      return 'expired'
    }
    const record: SessionRecord = { data, createdAt: now, expiresAt }
    const version = await this.#guard.call(deadline, () => this.#backend.write(key, record))
    line.latest = { record, version }
    new Snapshot(this, key, data, line.latest, now).attachTo(session)
    return 'written'
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
