/** `2 h 5 min` */
export function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1000)
  const parts = [
    [Math.floor(seconds / 3600), 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const
  const text = parts.filter(([count]) => count > 0).map(([count, unit]) => `${count}\u00a0${unit}`)
  return text.join(' ') || '0\u00a0s'
}

/** A moment as a page shows it: as it is written for machines, and how far off it is. */
export interface Moment {
  at: string
  text: string
}

/** @param at ms since the epoch */
export function moment(at: number, now = Date.now()): Moment {
  const distance = Math.abs(at - now)
  const rounded = Math.round(distance / (distance < 60_000 ? 1000 : 60_000)) * (distance < 60_000 ? 1000 : 60_000)
  const text = rounded === 0 ? 'now' : at < now ? `${duration(rounded)} ago` : `in ${duration(rounded)}`
  return { at: new Date(at).toISOString(), text }
}
