import { isExpired, leastTouch, mergeExpiry } from './expiry.ts'

/** What to do with a session that the application saves. All times in ms since the epoch. */
export type Plan =
  | { do: 'skip' } // nothing changed, and the expiry moves by too little
  | { do: 'touch'; expiresAt: number } // only the expiry moves on
  | { do: 'write'; expiresAt: number }
  | { do: 'end' } // the application has moved the expiry to the past

/** What the application has, and asks for now. */
export interface Ours {
  expiresAt: number
  /** Whether its data differs from what was loaded. */
  changed: boolean
  /** Whether the expiry moves on by itself. If not, a move is a change like any other. */
  rolling: boolean
}

const SKIP: Plan = { do: 'skip' }
const END: Plan = { do: 'end' }

/**
 * Decides what a save does. `touchInterval` is the store's option.
 * @param loaded the expiry that the request asked for so far; undefined for a new session
 * @param stored the expiry that is stored now; undefined for a new session
 */
export function planSave(
  loaded: { asked: number } | undefined,
  stored: { expiresAt: number } | undefined,
  ours: Ours,
  now: number,
  touchInterval: number | undefined,
): Plan {
  if (loaded === undefined || stored === undefined) {
    return isExpired(ours.expiresAt, now) ? END : { do: 'write', expiresAt: ours.expiresAt }
  }
  if (ours.expiresAt < loaded.asked && isExpired(ours.expiresAt, now)) return END
  const expiresAt = mergeExpiry(loaded.asked, stored.expiresAt, ours.expiresAt)
  const gain = expiresAt - stored.expiresAt
  if (ours.changed || gain < 0) return { do: 'write', expiresAt }
  if (gain === 0 || gain < leastTouch(expiresAt, now, touchInterval)) return SKIP
  return { do: ours.rolling ? 'touch' : 'write', expiresAt }
}
