import type { Call, Work } from './call.ts'

/**
 * What a store package implements: a handful of verbs over records. `SessionStore` decides everything else (expiry,
 * merging, ids, deadlines, retries, outages), so a backend validates nothing and defaults nothing: it receives exactly
 * the types below.
 *
 * - **Required**: every backend has it; without it no store can be built.
 * - **Recommended**: a store works without it, but its users will miss it.
 * - **Optional**: only where the server can do it. A call that needs it then fails with `SESSION_UNSUPPORTED`, before
 *   any I/O. A backend leaves out what its server cannot do; it never pretends.
 *
 * Rules that hold for every member:
 *
 * - Answer with a value or with a promise of it. An outage is a thrown or rejected error, never an answer: "not
 *   found" from a server that could not be asked logs everybody out. Throw a `TryAgain` where the same call may succeed
 *   a moment later. The caller gets the error as the `cause` of a 503; core removes the key and the record from it.
 * - Core waits until `call.deadline` and no longer. A backend has no timers: it passes `call.signal` on, or cancels and
 *   releases when that is aborted.
 * - Each verb can be sent again, by core or by the driver, whether or not the first attempt took effect; each says what
 *   a replay answers.
 * - Whether a record has expired is the caller's business. A backend may let its server collect records whose
 *   `expiresAt` has passed, at any time after it but never before, and may answer with such a record until then.
 * - Each verb acts on one record atomically. Verbs over the whole store work in batches, each bounded so that it holds
 *   neither the event loop nor a lock for more than a few ms: see `Batch`.
 */
export interface Backend {
  /** **Required.** The name of the kind of store, for errors and diagnostics: `'redis'`, `'sqlite'`, … */
  readonly name: string

  /**
   * **Required.** The record under `key` with its version; `undefined` when there is none; `'unreadable'` when something
   * is stored there that this release does not understand. Changes nothing.
   */
  read(key: string, call: Call): Awaitable<StoredRecord | 'unreadable' | undefined>

  /** **Required.** Inserts the record under this version, or overwrites what is there. A replay does the same again. */
  write(key: string, record: SessionRecord, version: Version, call: Call): Awaitable<void>

  /**
   * **Required.** Overwrites the record if its stored version is still `expected`, and answers `'replaced'`. Otherwise
   * changes nothing and answers `'conflict'` when there is a record with another version, or an unreadable one,
   * `'missing'` when there is none: a missing record is never inserted. Atomic on the server: of two callers with the
   * same `expected`, one gets `'conflict'`. A stored version that is already `version` is a replay of one's own write:
   * `'replaced'`, and the record is left as it is, since a touch may have moved its expiry meanwhile.
   */
  replace(
    key: string,
    record: SessionRecord,
    version: Version,
    expected: Version,
    call: Call,
  ): Awaitable<'replaced' | 'conflict' | 'missing'>

  /**
   * **Required.** Moves the expiry of the record under `key` to `expiresAt` if its stored version is still `expected`,
   * and answers true. The data and the version stay as they are. An expiry that is already there or later stays, and the
   * answer is true. No record, or one with another version: nothing changes, and the answer is false; whoever wrote the
   * other version may have ended the session early, and that must hold. A replay answers the same.
   * `userId` is the one of the record at that version, for servers that keep an index by user, which must live as long.
   */
  touch(key: string, expiresAt: number, expected: Version, userId: string | undefined, call: Call): Awaitable<boolean>

  /** **Required.** Deletes the record. False when there was none, and so perhaps for a replay. */
  remove(key: string, call: Call): Awaitable<boolean>

  /**
   * **Optional.** True where the verbs answer at once, without a promise, unless somebody is in the way. The first change of
   * a turn of the event loop is then made at once, and only those that follow in the same turn are gathered.
   */
  readonly isSynchronous?: boolean

  /**
   * **Optional.** Many `read`s as one command, answered in the order of the keys, of which one may come twice. What is
   * thrown concerns them all; where one record alone fails, its place holds the error. With `partOf`, all keys are of
   * one part.
   */
  readMany?(keys: string[], call: Call): Awaitable<Array<StoredRecord | 'unreadable' | undefined | Error>>

  /**
   * **Optional.** Many changes as one command, or as few: each has the outcome that its lone verb would have, in the order
   * given. Two changes of one key take effect in that order. One that waits for a lock or that the server refuses does not
   * hold up or fail the others: its place holds the error, a `TryAgain` to have it sent again by itself.
   */
  changeMany?(changes: Change[], call: Call): Awaitable<Array<ChangeAnswer | Error>>

  /**
   * **Recommended.** Resolves when the part of the server that `work` is for can be reached and used, rejects otherwise.
   * Asked while that part is thought to be down, so it must be the cheapest real round trip there is, on a connection
   * that is known to be alive or new. Without it, reading a key that is not there does.
   */
  ping?(work: Work, call: Call): Awaitable<void>

  /**
   * **Recommended** where one store has several failure domains: names the one that `work` is for, such as the address
   * of a Memcached server. An outage of one part leaves calls for the others alone. Asked only when something failed.
   */
  partOf?(work: Work): string

  /**
   * **Recommended.** Releases what the backend itself opened; never a client, pool or database that it was given.
   * Called at most once.
   */
  close?(): Awaitable<void>

  /**
   * **Optional.** Inserts the record, and never overwrites: `'exists'` when there is one under another version, or an
   * unreadable one. A replay answers `'inserted'`. For sessions that are adopted from another store.
   */
  insert?(key: string, record: SessionRecord, version: Version, call: Call): Awaitable<'inserted' | 'exists'>

  /**
   * **Optional.** For servers that do not collect expired records by themselves: deletes one batch of the records that
   * are over by `cutoff`, tested in the deleting statement itself. Many processes may prune at once. The cut-off lies
   * well in the past, so that a process whose clock is ahead deletes nothing that others still use; a server with a
   * clock of its own also deletes what has expired both by that clock and by `call.now`.
   */
  prune?(cutoff: Cutoff, from: string | undefined, call: Call): Awaitable<Batch & { removed: number }>

  /** **Optional.** How many records of one batch are not over by `cutoff`; where the server collects, of those it still holds. */
  count?(cutoff: Cutoff, from: string | undefined, call: Call): Awaitable<Batch & { count: number }>

  /**
   * **Optional.** One batch of records. Over all batches, every record that is there from beginning to end comes at
   * least once, in no order. Records that come, change or go meanwhile may or may not be seen. May include expired ones.
   */
  scan?(from: string | undefined, call: Call): Awaitable<Batch & { records: KeyedRecord[] }>

  /** **Optional.** Deletes one batch of this store's records, and nothing else on that server. */
  clear?(from: string | undefined, call: Call): Awaitable<Batch>

  /**
   * **Optional.** One batch of the records whose `userId` is this one. Over all batches, every record that is there and
   * this user's from beginning to end comes at least once: also where a process ended between two steps of writing it.
   */
  findByUser?(userId: string, from: string | undefined, call: Call): Awaitable<Batch & { records: KeyedRecord[] }>

  /**
   * **Optional**, together with `findByUser`. Deletes those of the records under `keys` whose `userId` still is this one,
   * decided for each in one step with its deletion, and answers how many that were. At most 100 keys.
   */
  removeOfUser?(userId: string, keys: string[], call: Call): Awaitable<number>

  /**
   * **Optional.** What an operator should know of this server and put right, in any order; nothing when all is well.
   * Looks at the server's settings and figures and changes nothing. A finding never quotes a key, an id or session data. What
   * the server does not let this user look at is a finding of its own, not an error.
   */
  check?(expected: Expected, call: Call): Awaitable<Finding[]>
}

/** What core asks of the server, for `check`. */
export interface Expected {
  /** How many bytes of UTF-8 the data of a record has at most: `maxBytes`, and what sealing adds. */
  dataBytes: number
}

/** Something that an operator should know of the server. Sentences, without a full stop. */
export interface Finding {
  /**
   * `'error'`: sessions are being lost, or requests fail; or the next restart or the next burst of log-ins does that.
   * `'warning'`: sessions can be lost, log-outs undone, or requests become slow. `'advice'`: it works, and could be better.
   */
  severity: 'error' | 'warning' | 'advice'
  /** What was found, with its figures: `'4,211 keys were evicted since the server started'`. */
  what: string
  /** What can come of it. */
  why: string
  /** How to put it right: the setting, the command, or what to look at. */
  how: string
}

/**
 * A record is over when `record.expiresAt <= cutoff.expiresAt` or `record.createdAt <= cutoff.createdAt`. In ms since the epoch,
 * `createdAt` at least -8.64e15. A record's `expiresAt` already heeds `absoluteTimeout` as it was when the record was
 * written; `createdAt` is for those that were stored before that was set or shortened.
 */
export interface Cutoff {
  expiresAt: number
  createdAt: number
}

/** One of many changes: the verb, and what it is given. */
export type Change =
  | { verb: 'write'; key: string; record: SessionRecord; version: Version }
  | { verb: 'replace'; key: string; record: SessionRecord; version: Version; expected: Version }
  | { verb: 'touch'; key: string; expiresAt: number; expected: Version; userId: string | undefined }
  | { verb: 'remove'; key: string }

/** What the verb answers: nothing for a `write`, a word for a `replace`, whether it took effect for the others. */
export type ChangeAnswer = undefined | 'replaced' | 'conflict' | 'missing' | boolean

/**
 * One step of an operation over the whole store. `from` is undefined for the first batch, and then the `next` that the
 * last one answered: any text that says where to go on. Without a `next`, all is done.
 */
export interface Batch {
  next?: string | undefined
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

export interface KeyedRecord {
  key: string
  record: SessionRecord
}

/**
 * Names one write of one record, 24 characters of `[A-Za-z0-9_-]`. Made by core and never used twice, not even after
 * the record was deleted and written again. A backend stores it and compares it.
 */
export type Version = string

/** A value now or a promise of it: synchronous backends save the trip through the promise queue. */
export type Awaitable<T> = T | Promise<T>
