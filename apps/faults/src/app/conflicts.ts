import type { ConflictResolver, SessionData } from '@session-stores/core'

/** How often a save met another writer's version. */
export let conflicts = 0

/** Merges as a store does by itself: by top-level key, and where both changed one, the later writer's value. */
export const countAndMerge: ConflictResolver = (base, theirs, ours) => {
  conflicts += 1
  const merged: SessionData = { ...theirs }
  for (const key of new Set([...Object.keys(base), ...Object.keys(ours)])) {
    if (JSON.stringify(base[key]) === JSON.stringify(ours[key])) continue
    if (key in ours) merged[key] = ours[key]
    else delete merged[key]
  }
  return merged
}
