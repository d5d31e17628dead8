import type { EncryptionKeyInput } from './with/encryption-key.ts'

/** What every store accepts, whatever its backend. All durations are in milliseconds. */
export interface StoreOptions {
  /**
   * How long a session lives after its last save when its cookie has no expiry of its own (a browser-session cookie).
   * In ms.
   * @default 86_400_000 (1 day)
   */
  ttl?: number | undefined

  /**
   * Ends every session this long after it began, however busy it is; `false` for never. Regenerating a session begins
   * a new one. In ms. OWASP's Session Management Cheat Sheet asks for one besides the idle timeout (4 to 8 hours for an
   * office worker's day).
   * @default false
   */
  absoluteTimeout?: number | false | undefined

  /**
   * A request that changes nothing moves the stored expiry only if that moves by at least this much, so that a busy
   * session costs reads and hardly any writes. A session may end this much before its cookie says. Never more than
   * half a session's lifetime, or a busy session would end. In ms.
   * @default 5 % of the session's lifetime, at most 60_000
   */
  touchInterval?: number | undefined

  /**
   * The largest serialized session, in bytes of UTF-8. A larger one is refused with `SESSION_TOO_LARGE`, and what was
   * stored stays.
   * @default 65_536
   */
  maxBytes?: number | undefined

  /**
   * Every operation ends within this time: when the server has not answered, with a 503 `SESSION_STORE_UNAVAILABLE`.
   * In ms.
   * @default 2000
   */
  timeout?: number | undefined

  /**
   * How often expired sessions are deleted, where the server does not do it by itself; each pause is varied by half so that
   * many processes do not prune at once. `false` turns it off: call `prune()` yourself then. In ms.
   * @default 300_000 (5 minutes)
   */
  pruneInterval?: number | false | undefined

  /**
   * What happens when two requests changed the same session at once: `'merge'` keeps both sides' changes by top-level
   * key, and where both changed one key the later writer's value; `'overwrite'` stores the later writer's session
   * as it is; a function is given the three sessions and answers the one to store.
   * @default 'merge'
   */
  onConflict?: 'merge' | 'overwrite' | ConflictResolver | undefined

  /**
   * Turns sessions into text and back, for values that JSON cannot hold.
   * @default JSON, parsed by secure-json-parse
   */
  serializer?: Serializer | undefined

  /**
   * Names the user of a session, so that sessions can be listed and ended by user. Called with each session that is
   * stored; `undefined` for a visitor who is not logged in. A user id stays readable in the database.
   * @default no session has a user
   */
  // biome-ignore lint/suspicious/noExplicitAny: whatever the application keeps in a session
  userOf?: ((session: any) => string | number | null | undefined) | undefined

  /**
   * How many sessions one user may have: a log-in beyond that ends the one that was idle longest. Needs `userOf`, and a
   * server that can list.
   * @default no limit
   */
  maxPerUser?: number | undefined

  /**
   * Seals what sessions hold with AES-256-GCM before it reaches the server. Each key has 32 bytes (a Buffer, a secret
   * `KeyObject`, or text in base64, base64url or hex); the first one seals, any of them opens. To change keys, put a new
   * one in front, and drop the old one once no session is older. Made by `openssl rand -base64 32`.
   * @default data is stored as it is
   */
  encryptionKeys?: readonly EncryptionKeyInput[] | undefined

  /**
   * With `encryptionKeys`, also reads sessions that are not sealed: for the time in which it is being switched on, and no
   * longer, since whoever can write to the database can then plant a session.
   * @default false
   */
  acceptPlaintext?: boolean | undefined

  /**
   * The store that the application had before, to move in with nobody logged out: a session that this store does not have
   * is looked for there by its id, taken over with its data and its expiry, and ended there. A log-out ends it in both.
   * Any store with `get` and `destroy` for `@fastify/session` or express-session. Take it away again once its sessions
   * have ended, or none is adopted any more. `createdAt` of an adopted session is when it was adopted.
   * @default none
   */
  adopt?: OldStore | undefined

  /**
   * Leaves adopted sessions in the old store too, for as long as other processes still use only that. What those
   * processes change then does not reach this store, and a log-out there does not end a session that was adopted.
   * @default false
   */
  keepOld?: boolean | undefined

  /**
   * Names this store on the diagnostics channels and in metrics, to tell it from others of its kind.
   * @default the kind: 'redis', 'sqlite', …
   */
  name?: string | undefined

  /**
   * The clock that decides what has expired: ms since the epoch. For tests.
   * @default Date.now
   */
  now?: (() => number) | undefined
}

/**
 * Answers the session to store when `theirs` was stored while `ours` was being worked on.
 * All three are plain data as the serializer gives it; `base` is what our request loaded.
 */
export type ConflictResolver = (base: SessionData, theirs: SessionData, ours: SessionData) => SessionData

export type SessionData = Record<string, unknown>

export interface Serializer {
  /** Equal sessions must give equal text: it is how a store sees that nothing changed. */
  stringify(session: SessionData): string
  /** Throws when the text cannot be read; the session is then treated as not there, and the record is kept. */
  parse(text: string): SessionData
}

/** The store that an application had before: any one for `@fastify/session` or express-session. */
export interface OldStore {
  get(sessionId: string, callback: (error?: unknown, session?: unknown) => void): unknown
  destroy(sessionId: string, callback: (error?: unknown) => void): unknown
}
