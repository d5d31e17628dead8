import { type Result, runCell } from './cell.ts'
import type { Fault, Subject } from './fault.ts'
import { memcached } from './faults/memcached.ts'
import { memcachedPool } from './faults/memcached-pool.ts'
import { pgbouncer } from './faults/pgbouncer.ts'
import { postgres } from './faults/postgres.ts'
import { redis } from './faults/redis.ts'
import { redisCluster } from './faults/redis-cluster.ts'
import { redisSentinel } from './faults/redis-sentinel.ts'
import { sqlite } from './faults/sqlite.ts'

/** One fault on one store. */
export interface Cell {
  /** `'redis/frozen'` */
  name: string
  /** `'frozen'` */
  fault: string
  what: string
  /** Why it cannot be run here; undefined when it can. */
  leftOut: string | undefined
  run(): Promise<Result>
}

/** All that is tried on one store. */
export interface Row {
  store: string
  about: string
  cells: Cell[]
}

export const matrix: Row[] = [
  rowOf(redis),
  rowOf(redisSentinel),
  rowOf(redisCluster),
  rowOf(postgres),
  rowOf(pgbouncer),
  rowOf(sqlite),
  rowOf(memcached),
  rowOf(memcachedPool),
]

function rowOf<Extra, Setup>(subject: Subject<Extra, Setup>): Row {
  const cells = Object.entries(subject.faults).map(([name, fault]) => ({
    name: `${subject.name}/${name}`,
    fault: name,
    what: fault.what,
    leftOut: whyNot([...subject.skip, ...(fault.skip === undefined ? [] : [fault.skip])], fault.needs),
    run: () => runCell(subject, fault),
  }))
  return { store: subject.name, about: subject.about, cells }
}

function whyNot(skip: string[], needs: Fault['needs']): string | undefined {
  const skipped = skip.find((variable) => process.env[variable] === '1')
  if (skipped !== undefined) return `${skipped}=1`
  if (needs === 'root' && (process.getuid?.() !== 0 || process.platform !== 'linux')) return 'needs root, on Linux'
  if (needs === 'Linux' && process.platform !== 'linux') return 'needs Linux'
  return undefined
}

/** The cells with these names, or of these stores; all if there are no names. Throws where there is none. */
export function cellsNamed(names: string[]): Cell[] {
  const all = matrix.flatMap(({ cells }) => cells)
  for (const name of names) {
    if (!all.some((cell) => isNamed(cell, name))) throw new Error(`no cell is called ${name}; --list shows them all`)
  }
  return names.length === 0 ? all : all.filter((cell) => names.some((name) => isNamed(cell, name)))
}

function isNamed(cell: Cell, name: string): boolean {
  return cell.name === name || cell.name.startsWith(`${name}/`)
}
