import { hash } from 'node:crypto'
import { HashRing } from 'ketama'

/** Points of each server on the ring, in the library's unit of 50: 200 of them keep the shares within about a tenth. */
const WEIGHT = 4

/**
 * Decides which server holds which key, by consistent hashing: where a server is added to n others, about one key in
 * n + 1 moves, all of them to it; where one of n is taken away, only its own keys do. The order of the list does not matter.
 * @param names the servers as the application names them, such as `'10.0.0.7:11211'`
 * @returns the place in `names` of the server for a key
 */
export function ringOf(names: readonly string[]): (key: string) => number {
  if (names.length === 1) return () => 0
  // In one order: where two servers have a point in common, it belongs to the first.
  const ring = new HashRing(
    [...names].sort().map((node) => ({ node, weight: WEIGHT })),
    (input) => hash('sha256', input, 'buffer').readInt32BE(),
  )
  const places = new Map(names.map((name, place) => [name, place]))
  return (key) => places.get(ring.getNode(key) as string) as number
}
