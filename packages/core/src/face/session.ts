// What is known of the session objects of @fastify/session: how their cookie carries the expiry, what of them moves by
// itself, and what must not be stored. express-session's look the same.
import { inspect } from 'node:util'
import { nameOf, SessionExpiryInvalid, SessionNotSerializable } from '../errors.ts'
import { MAX_EXPIRES_AT } from '../expiry.ts'
import type { SessionData } from '../options.ts'
import { LOADED } from './snapshot.ts'

/** Never stored: the snapshot, and what the plugin itself leaves out when it restores a session. */
const omitted = new Set([LOADED, 'cookie', 'sessionId', 'encryptedSessionId', '__proto__'])

/** Whether it is a session object of the plugin, and not plain data of the application's. */
export function isPluginSession(session: object): boolean {
  const { regenerate, reload } = session as SessionData
  return typeof regenerate === 'function' && typeof reload === 'function'
}

/**
 * The session as plain data, without what moves with every request: so an unchanged session gives equal data.
 * @throws SESSION_NOT_SERIALIZABLE when a getter of it throws
 */
export function plainSession(session: object): SessionData {
  const source = session as SessionData
  const plain: SessionData = {}
  try {
    if (source.cookie !== undefined) plain.cookie = cookieWithoutExpiry(source.cookie)
    for (const key of Object.keys(source)) {
      if (!omitted.has(key)) plain[key] = source[key]
    }
  } catch (error) {
    throw new SessionNotSerializable(`reading it gave a ${nameOf(error)}`)
  }
  return plain
}

/** Puts the true expiry into the cookie, where the stored cookie has one. */
export function restoreExpiry(session: SessionData, expiresAt: number): void {
  const { cookie } = session
  if (isObject(cookie) && cookie.expires !== null) cookie.expires = new Date(expiresAt)
}

/**
 * The moment the cookie ends, in ms since the epoch; undefined for a browser-session cookie, which has no expiry.
 * @throws SESSION_EXPIRY_INVALID
 */
export function cookieExpiry(session: object): number | undefined {
  const { expires, originalMaxAge } = cookieOf(session)
  if (expires === undefined || expires === null || expires === false) return undefined
  const time =
    expires instanceof Date ? expires.getTime() : typeof expires === 'number' ? expires : Date.parse(String(expires))
  if (Number.isNaN(time)) throw new SessionExpiryInvalid(reasonFor(originalMaxAge))
  return Math.floor(Math.min(Math.max(time, 0), MAX_EXPIRES_AT))
}

/** The plugin makes the expiry from `cookie.maxAge`, such as a text from the environment, without a look at it. */
function reasonFor(maxAge: unknown): string {
  const isWrong = maxAge !== undefined && maxAge !== null && !Number.isFinite(maxAge)
  if (!isWrong) return 'set a Date, or null for none'
  return `it was made from cookie.maxAge, which must be a finite number of ms; got ${inspect(maxAge)}`
}

/** Whether the expiry moves on by itself with each request. If not, a move is a change like any other. */
export function isRolling(session: object, cookieExpiresAt: number | undefined): boolean {
  return cookieExpiresAt === undefined || typeof cookieOf(session).originalMaxAge === 'number'
}

/**
 * How long the session lives after its last use, in ms; undefined when its cookie has a fixed end.
 * @param ttl the store's option, for cookies without an expiry
 */
export function lifetimeOf(session: object, ttl: number): number | undefined {
  const { originalMaxAge, expires } = cookieOf(session)
  if (typeof originalMaxAge === 'number') return originalMaxAge
  return expires === undefined || expires === null ? ttl : undefined
}

/** Whether the session holds anything besides its cookie. */
export function holdsData(session: object): boolean {
  return Object.keys(session).some((key) => !omitted.has(key))
}

/**
 * The expiry that a request asks for by loading a session: usually the stored one. But one that moves on by itself is at once
 * moved to so long from now, which is earlier if the clock of the process that stored the session is ahead of ours. Nobody
 * asked for an earlier end, so that counts as asked for already.
 * @param ttl the store's option, for cookies without an expiry
 */
export function askedAtLoad(session: object, storedExpiresAt: number, now: number, ttl: number): number {
  const lifetime = lifetimeOf(session, ttl)
  return lifetime === undefined ? storedExpiresAt : Math.min(now + lifetime, storedExpiresAt)
}

function cookieOf(session: object): SessionData {
  const { cookie } = session as SessionData
  return isObject(cookie) ? cookie : {}
}

/** A cookie without an expiry is stored with `expires: null`; one that has an expiry without the field. */
function cookieWithoutExpiry(cookie: unknown): unknown {
  if (!isObject(cookie)) return cookie
  const data = typeof cookie.toJSON === 'function' ? (cookie.toJSON() as SessionData) : cookie
  const { expires, originalExpires, ...rest } = data
  return expires === undefined || expires === null || expires === false ? { ...rest, expires: null } : rest
}

function isObject(value: unknown): value is SessionData {
  return typeof value === 'object' && value !== null
}
