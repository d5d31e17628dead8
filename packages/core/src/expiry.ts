/** The last moment a Date can hold; any later expiry is capped to it. */
export const MAX_EXPIRES_AT = 8.64e15

/**
 * How long a session is over before it is pruned by this process's clock alone, in ms: a clock that is ahead by less than
 * this, such as by an hour of daylight saving time, deletes nobody's session.
 */
export const PRUNE_MARGIN = 2 * 60 * 60_000

/** The one place that decides it: a session is readable strictly before its `expiresAt`. */
export function isExpired(expiresAt: number, now: number): boolean {
  return expiresAt <= now
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
 * The expiry to store when others may have moved it meanwhile. Usually the later of theirs and ours, since a request that
 * came later has prolonged the session. But whoever asked for an earlier end did so on purpose: that holds.
 * @param asked what our request asked for so far
 * @param stored what is stored now
 * @param ours what our request asks for now
 */
export function mergeExpiry(asked: number, stored: number, ours: number): number {
  if (stored < asked) return ours < asked ? Math.min(ours, stored) : stored
  return ours < asked ? ours : Math.max(ours, stored)
}

/** The least a touch must move the expiry, so that touching is worth a write. Capped so that a busy session lives on. */
export function leastTouch(expiresAt: number, now: number, touchInterval: number | undefined): number {
  const lifetime = expiresAt - now
  return touchInterval === undefined ? Math.min(lifetime * 0.05, 60_000) : Math.min(touchInterval, lifetime / 2)
}

/** When a stored session ends: also right for one that was stored before `absoluteTimeout` was set or shortened. In ms. */
export function trueExpiry(record: { createdAt: number; expiresAt: number }, absoluteTimeout: number): number {
  return Math.min(record.expiresAt, record.createdAt + absoluteTimeout)
}
