import { inspect } from 'node:util'

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

/** `StoreOptions` with the defaults filled in. */
export interface Settings {
  ttl: number
  absoluteTimeout: number
  touchInterval: number | undefined
  maxBytes: number
  timeout: number
  pruneInterval: number | false
  onConflict: 'merge' | 'overwrite' | ConflictResolver
  serializer: Serializer | undefined
  now: () => number
}

/** How long an operation may take by default, in ms. */
const DEFAULT_TIMEOUT = 2000

/** The longest delay a Node timer takes. */
const MAX_DELAY = 2 ** 31 - 1

const known: ReadonlyArray<keyof StoreOptions> = [
  'ttl',
  'absoluteTimeout',
  'touchInterval',
  'maxBytes',
  'timeout',
  'pruneInterval',
  'onConflict',
  'serializer',
  'now',
]

/**
 * Checks the options and fills in the defaults. The caller's object is left alone.
 * @throws TypeError naming the option, what it wants and what it got.
 */
export function settingsFrom(options: StoreOptions = {}): Settings {
  if (typeof options !== 'object' || options === null) {
    // Not shown: it may be a connection string, with a password.
    throw new TypeError(`options must be an object; got ${options === null ? 'null' : `a ${typeof options}`}`)
  }
  for (const name of Object.keys(options)) {
    if (!(known as string[]).includes(name)) {
      throw new TypeError(`unknown option ${inspect(name)}: the options of every store are ${known.join(', ')}`)
    }
  }
  // Defaults in place of undefined only: null is a wrong value.
  const { onConflict = 'merge' } = options
  const settings: Settings = {
    ttl: options.ttl ?? 86_400_000,
    absoluteTimeout: options.absoluteTimeout || Number.POSITIVE_INFINITY,
    touchInterval: options.touchInterval,
    maxBytes: options.maxBytes ?? 65_536,
    timeout: options.timeout ?? DEFAULT_TIMEOUT,
    pruneInterval: options.pruneInterval ?? 300_000,
    onConflict,
    serializer: options.serializer,
    now: options.now === undefined ? realTime : wholeMs(options.now),
  }
  checkInteger('ttl', options.ttl, 1, Number.MAX_SAFE_INTEGER)
  if (options.absoluteTimeout !== false) {
    checkInteger('absoluteTimeout', options.absoluteTimeout, 1, Number.MAX_SAFE_INTEGER, ', or false')
  }
  checkInteger('touchInterval', options.touchInterval, 0, Number.MAX_SAFE_INTEGER)
  checkInteger('maxBytes', options.maxBytes, 1, Number.MAX_SAFE_INTEGER, '', 'bytes')
  checkInteger('timeout', options.timeout, 1, MAX_DELAY)
  if (options.pruneInterval !== false) {
    checkInteger('pruneInterval', options.pruneInterval, 1, MAX_DELAY, ', or false')
  }
  const { serializer } = settings
  if (onConflict !== 'merge' && onConflict !== 'overwrite' && typeof onConflict !== 'function') {
    throw wrong('onConflict', "'merge', 'overwrite' or a function (base, theirs, ours) => session", onConflict)
  }
  if (
    serializer !== undefined &&
    (typeof serializer?.stringify !== 'function' || typeof serializer.parse !== 'function')
  ) {
    throw wrong('serializer', 'an object with the functions stringify and parse', serializer)
  }
  return settings
}

/** Looks `Date.now` up at each use, so that a fake clock holds that tests install later. */
function realTime(): number {
  return Date.now()
}

/** Sessions are stored in whole ms, whatever the clock answers. */
function wholeMs(now: unknown): () => number {
  if (typeof now !== 'function' || !Number.isFinite(now())) {
    throw wrong('now', 'a function that answers ms since the epoch', now)
  }
  return () => Math.floor(now())
}

function checkInteger(name: string, value: unknown, min: number, max: number, or = '', unit = 'ms'): void {
  if (value === undefined) return
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
    throw wrong(name, `a whole number of ${unit} from ${min} to ${max}${or}`, value)
  }
}

function wrong(name: string, wants: string, value: unknown): TypeError {
  return new TypeError(`${name} must be ${wants}; got ${inspect(value, { depth: 0 })}`)
}
