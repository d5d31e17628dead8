/** Up to here the server takes an exptime for seconds from now, beyond it for a date. */
const LONGEST_RELATIVE = 30 * 24 * 60 * 60
/** The last second that the protocol's 32 bits hold, in February 2106. */
const LAST_SECOND = 0xffff_ffff
/** The server counts seconds by a tick of its own, which may be late: it could collect almost 2 s early. In s. */
const TICKS = 2
/** How far the server's clock may be ahead of ours where it is told a date. In s. */
const SKEW = 60 * 60

/**
 * The exptime that lets the server collect a record after `expiresAt`, and never before it. It is never 0, which would
 * mean for ever. Both arguments in ms since the epoch.
 * @param now by the clock that made `expiresAt`, which in tests is not the real one
 */
export function exptimeFor(expiresAt: number, now: number): number {
  const seconds = Math.max(Math.ceil((expiresAt - now) / 1000), 0) + TICKS
  if (seconds <= LONGEST_RELATIVE) return seconds
  return Math.min(Math.ceil(Date.now() / 1000) + seconds + SKEW, LAST_SECOND)
}
