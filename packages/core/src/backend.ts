/**
 * What a store package implements: a handful of verbs over records. `SessionStore` decides everything else (expiry,
 * merging, ids, deadlines), so a backend validates nothing and defaults nothing: it receives exactly the types below.
 *
 * - **Required**: every backend has it; without it no store can be built.
 * - **Recommended**: a store works without it, but its users will miss it.
 * - **Optional**: only where the server can do it. A call that needs it then fails with `SESSION_UNSUPPORTED`, before
 *   any I/O. A backend leaves out what its server cannot do; it never pretends.
 *
 * Rules that hold for every member:
 *
 * - Answer with a value or with a promise of it. An outage is a thrown or rejected error, never an answer: "not
 *   found" from a server that could not be asked logs everybody out. The caller gets the error as the `cause` of a 503,
 *   so it must not contain record data (drivers like to attach the command that failed: remove it).
 * - Whether a record has expired is the caller's business. A backend may let its server collect records whose
 *   `expiresAt` has passed, at any time after it but never before, and may answer with such a record until then.
 * - Each verb acts on one record atomically. Drivers may send a command twice; each verb says what a replay answers.
 */
export interface Backend {
  /** **Required.** The name of the kind of store, for errors and diagnostics: `'redis'`, `'sqlite'`, … */
  readonly name: string

  /** **Required.** The record under `key` with its version; `undefined` when there is none. Changes nothing. */
  read(key: string): Awaitable<StoredRecord | undefined>

  /**
   * **Required.** Inserts the record, or overwrites what is there, and answers its new version. A replay does the same
   * again and may answer another version.
   */
  write(key: string, record: SessionRecord): Awaitable<Version>

  /**
   * **Required.** Overwrites the record if its stored version is still `version`, and answers the new version.
   * Otherwise changes nothing and answers `'conflict'` when there is a record with another version, `'missing'` when
   * there is none: a missing record is never inserted. Atomic on the server: of two callers with the same
   * `version`, one gets `'conflict'`. A replay of one's own write is a success, not a conflict.
   */
  replace(key: string, record: SessionRecord, version: Version): Awaitable<Version | 'conflict' | 'missing'>

  /**
   * **Required.** Moves the expiry of the record under `key` to `expiresAt` if its stored version is still `version`, and
   * answers true. The data and the version stay as they are. An expiry that is already there or later stays, and the
   * answer is true. No record, or one with another version: nothing changes, and the answer is false; whoever wrote the
   * other version may have ended the session early, and that must hold. A replay answers the same.
   */
  touch(key: string, expiresAt: number, version: Version): Awaitable<boolean>

  /** **Required.** Deletes the record. False when there was none, and so perhaps for a replay. */
  remove(key: string): Awaitable<boolean>

  /**
   * **Recommended.** Resolves when the server can be reached, rejects otherwise. Asked while the server is thought to be
   * down, so it must be the cheapest real round trip there is. Without it, reading a key that is not there does.
   */
  ping?(): Awaitable<void>

  /**
   * **Recommended.** Releases what the backend itself opened; never a client, pool or database that it was given.
   * Called at most once.
   */
  close?(): Awaitable<void>

  /**
   * **Optional.** For servers that do not collect expired records by themselves: deletes one bounded batch of records
   * with `expiresAt <= now`, tested in the deleting statement itself. Called again until `done`. One batch must
   * hold neither the event loop nor a lock for more than a few ms, and many processes may prune at once.
   */
  prune?(now: number): Awaitable<{ removed: number; done: boolean }>

  /** **Optional.** How many records with `expiresAt > now` there are; where the server collects, those it still holds. */
  count?(now: number): Awaitable<number>

  /**
   * **Optional.** Every record that is there from beginning to end of the scan, at least once, in no order. Reads in
   * bounded batches. Records that come, change or go meanwhile may or may not be seen. May include expired ones.
   */
  scan?(): AsyncIterable<{ key: string; record: SessionRecord }>

  /** **Optional.** Deletes every record of this store, and nothing else on that server. */
  clear?(): Awaitable<void>
}

/** A session at rest. A backend gives back exactly what it was given. */
export interface SessionRecord {
  /** The serialized session. Any text, up to `maxBytes` bytes of UTF-8. */
  data: string
  /** When the session began, ms since the epoch. */
  createdAt: number
  /** The first moment at which the session is over, ms since the epoch; an integer, at most 8.64e15. */
  expiresAt: number
  /** Whose session it is, when the application says so. */
  userId?: string
}

export interface StoredRecord {
  record: SessionRecord
  version: Version
}

/**
 * Names one write of one record. Opaque to `SessionStore`: only the backend that made it compares it. Never used twice,
 * not even after the record was deleted and written again; `newVersion()` makes one.
 */
export type Version = string

/** A value now or a promise of it: synchronous backends save the trip through the promise queue. */
export type Awaitable<T> = T | Promise<T>
