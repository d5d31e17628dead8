/**
 * How much longer than its session a key lives, in ms. The time to live is counted from the clock of the process that
 * wrote, so the server's clock does not matter; but another process may read. As long as no process is more than 5 minutes
 * off the server's time, two of them are at most 10 minutes apart, and no key is gone while a session lives.
 */
const SLACK = 10 * 60_000

/** In ms from now, for the server. */
export function timeToLive(expiresAt: number, now: number): number {
  return Math.max(1, Math.ceil(expiresAt - now) + SLACK)
}
