import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

let ticksPerSecond: number | undefined

/**
 * The CPU time that a process, its children and those of them that have ended have used so far, in µs; undefined on
 * systems without `/proc`. It counts in ticks, mostly of 10 ms.
 */
export function cpuOf(pid: number): number | undefined {
  try {
    ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
    const ticks = ticksOf(pid, true) + childrenOf(pid).reduce((sum, child) => sum + ticksOf(child, false), 0)
    return (ticks / ticksPerSecond) * 1e6
  } catch {
    return undefined
  }
}

/** proc_pid_stat(5): fields 14 and 15 are its own time, 16 and 17 that of its children that have ended. */
function ticksOf(pid: number, withEnded: boolean): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number) // from the third on
  const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15)
  return user + system + (withEnded ? endedUser + endedSystem : 0)
}

function childrenOf(pid: number): number[] {
  const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return list === '' ? [] : list.split(' ').map(Number)
}
