import type { Contestant } from './contestant.ts'
import { memcached } from './memcached.ts'
import { memory } from './memory.ts'
import { postgres } from './postgres.ts'
import { redis } from './redis.ts'
import { sqlite } from './sqlite.ts'

/** In the order of the tables. */
export const contestants: readonly Contestant[] = [...memory, ...redis, ...memcached, ...postgres, ...sqlite]

export function contestantNamed(name: string): Contestant {
  const found = contestants.find((each) => each.name === name)
  if (found === undefined) throw new Error(`there is no contestant ${name}`)
  return found
}
