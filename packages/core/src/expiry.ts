import { SessionExpiryInvalid } from './errors.ts'

/** The last moment a Date can hold; any later expiry is capped to it. */
export const MAX_EXPIRES_AT = 8.64e15

/** The one place that decides it: a session is readable strictly before its `expiresAt`. */
export function isExpired(expiresAt: number, now: number): boolean {
  return expiresAt <= now
}

/**
 * The moment the cookie ends, in ms since the epoch; undefined for a browser-session cookie, which has no expiry.
 * @throws SESSION_EXPIRY_INVALID
 */
export function cookieExpiry(cookie: unknown): number | undefined {
  const expires = (cookie as { expires?: unknown } | null | undefined)?.expires
  if (expires === undefined || expires === null || expires === false) return undefined
  const time =
    expires instanceof Date ? expires.getTime() : typeof expires === 'number' ? expires : Date.parse(String(expires))
  if (Number.isNaN(time)) throw new SessionExpiryInvalid()
  return Math.floor(Math.min(Math.max(time, 0), MAX_EXPIRES_AT))
}

/** When a session saved now ends: with its cookie, or `ttl` from now; never later than `absoluteTimeout` after it began. */
export function expiryOf(
  cookieExpiresAt: number | undefined,
  createdAt: number,
  now: number,
  { ttl, absoluteTimeout }: { ttl: number; absoluteTimeout: number },
): number {
  return Math.min(cookieExpiresAt ?? now + ttl, createdAt + absoluteTimeout, MAX_EXPIRES_AT)
}

/**
 * The expiry to store with a changed session. Usually the later of ours and what is stored, since another request may
 * have prolonged it meanwhile. But whoever made it end earlier did so on purpose: that stays.
 * @param loaded the expiry when our request loaded the session
 * @param stored the expiry stored now
 * @param ours the expiry our request asks for
 */
export function mergeExpiry(loaded: number, stored: number, ours: number): number {
  if (ours < loaded) return ours
  if (stored < loaded) return stored
  return Math.max(ours, stored)
}

/** The least a touch must move the expiry, so that touching is worth a write. Capped so that a busy session lives on. */
export function leastTouch(expiresAt: number, now: number, touchInterval: number | undefined): number {
  const lifetime = expiresAt - now
  return touchInterval === undefined ? Math.min(lifetime * 0.05, 60_000) : Math.min(touchInterval, lifetime / 2)
}
