import { isDeepStrictEqual } from 'node:util'
import type { SessionData } from './options.ts'

/**
 * Three-way merge over top-level keys. A key that only one side changed or deleted takes that side's value, a key that
 * both changed takes ours. Values are taken whole: merging inside them would make states that nobody wrote.
 */
export function merge(base: SessionData, theirs: SessionData, ours: SessionData): SessionData {
  const merged: SessionData = {}
  for (const key of new Set([...Object.keys(theirs), ...Object.keys(ours)])) {
    const side = sameUnder(key, base, ours) ? theirs : ours
    if (Object.hasOwn(side, key)) merged[key] = side[key]
  }
  return merged
}

function sameUnder(key: string, a: SessionData, b: SessionData): boolean {
  return Object.hasOwn(a, key) === Object.hasOwn(b, key) && isDeepStrictEqual(a[key], b[key])
}
