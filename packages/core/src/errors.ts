import { createError } from '@fastify/error'

// Codes are stable; messages may change. No message and no cause holds a session id or session data.

/** The server could not be asked, or did not answer in time. `cause` holds the driver's error. Status 503. */
export const SessionStoreUnavailable = createError<[string, string, { cause: unknown }?]>(
  'SESSION_STORE_UNAVAILABLE',
  'the %s session store is unavailable: %s',
  503,
)

/** `close()` was called on this store. Status 503. */
export const SessionStoreClosed = createError<[string]>(
  'SESSION_STORE_CLOSED',
  'the %s session store is closed: close it after the last request, in an onClose hook',
  503,
)

/** The serialized session is larger than `maxBytes`, or than the server takes. What was stored stays. Status 500. */
export const SessionTooLarge = createError<[number, number]>(
  'SESSION_TOO_LARGE',
  'the serialized session has %d bytes, the limit is %d: keep less in the session, or raise maxBytes',
  500,
)

/** Other processes changed the session each time this one tried to. Nothing was stored. Status 503. */
export const SessionConflict = createError<[number]>(
  'SESSION_CONFLICT',
  'the session was changed by others during each of %d attempts to save it: try again later',
  503,
)

/** `cookie.expires` is not a date. Nothing was stored. Status 500. */
export const SessionExpiryInvalid = createError<[string]>(
  'SESSION_EXPIRY_INVALID',
  'cookie.expires of the session is not a valid date: %s',
  500,
)

/** The session holds a value that cannot be turned to text. Nothing was stored. Status 500. */
export const SessionNotSerializable = createError<[string]>(
  'SESSION_NOT_SERIALIZABLE',
  'the session cannot be serialized: %s',
  500,
)

/**
 * The session was stored by a release with another layout, newer or older than what this one reads: two releases are
 * running at once. It is kept, and nobody is logged out by it. Status 503.
 */
export const SessionLayoutUnknown = createError<[string]>(
  'SESSION_LAYOUT_UNKNOWN',
  'the session was stored in the layout %s, which this release of session-stores does not read: update it',
  503,
)

/** This store's server cannot do what was asked. Thrown before any I/O. Status 501. */
export const SessionUnsupported = createError<[string, string]>(
  'SESSION_UNSUPPORTED',
  'the %s session store cannot %s',
  501,
)

/** Whether the error is one of ours, also when it comes from another copy of this package. */
export function isStoreError(error: unknown): error is Error & { code: string } {
  const code = (error as { code?: unknown } | null)?.code
  return error instanceof Error && typeof code === 'string' && code.startsWith('SESSION_')
}

/** What kind of error it is; not its message, which may quote session data. */
export function nameOf(error: unknown): string {
  return error instanceof Error ? error.constructor.name : 'thrown value'
}
