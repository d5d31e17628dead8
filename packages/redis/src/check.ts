import type { Finding } from '@session-stores/core'
import { addressOf, type Driver, isCluster, type Server } from './driver.ts'

/** The oldest release that this package is for. */
const OLDEST = 6
/** How full the memory may be, as a share of `maxmemory`. */
const NEARLY_FULL = 0.9
/** How far the server's clock may be from the process's, in ms; and how far before sessions may end early. */
const CLOCK_IS_OFF = 60_000
const CLOCK_IS_WRONG = 5 * 60_000

/** What the server says of itself: the lines of INFO by their names. */
type Info = ReadonlyMap<string, string>

/**
 * What there is to say of the server; of a Cluster, of each master.
 * @param now the process's clock, in ms since the epoch
 */
export async function checkServers(driver: Driver, now: number): Promise<Finding[]> {
  if (!isCluster(driver)) return checkServer(driver, now)
  const ofEach = await Promise.all(
    driver.nodes('master').map(async (server) => {
      const findings = await checkServer(server, now)
      return findings.map((finding) => ({ ...finding, what: `${addressOf(server)}: ${finding.what}` }))
    }),
  )
  return ofEach.flat()
}

async function checkServer(server: Server, now: number): Promise<Finding[]> {
  const [info, save, time] = await Promise.all([
    allowed(server.info()),
    allowed(server.config('GET', 'save')),
    allowed(server.time()),
  ])
  if (info === undefined) {
    return [
      {
        severity: 'advice',
        what: 'the user of the connection may not ask for INFO',
        why: 'so nothing is known of memory, persistence and replication',
        how: 'allow it: ACL SETUSER … +info',
      },
    ]
  }
  const lines = linesOf(info)
  return [
    ...version(lines),
    ...replication(lines),
    ...eviction(lines),
    ...memory(lines),
    ...persistence(lines, save === undefined ? undefined : `${(save as string[])[1]}`),
    ...(time === undefined ? [] : clock(Number(time[0]) * 1000, now)),
  ]
}

export function linesOf(info: string): Info {
  return new Map([...info.matchAll(/^(\w+):(.*?)\r?$/gm)].map(([, name = '', value = '']) => [name, value]))
}

export function version(info: Info): Finding[] {
  const found = info.get('redis_version') ?? ''
  if (Number.parseInt(found, 10) >= OLDEST) return []
  return [
    {
      severity: 'warning',
      what: `the server is Redis ${found}`,
      why: `the store is for Redis ${OLDEST} and newer; older releases get no fixes any more, those of security holes included`,
      how: 'upgrade the server',
    },
  ]
}

function replication(info: Info): Finding[] {
  if (info.get('role') === 'master') return []
  return [
    {
      severity: 'error',
      what: `the server is a replica, of ${info.get('master_host')}:${info.get('master_port')}`,
      why: 'sessions that were just saved may be missing on it, those that were logged out may still be there, and it takes no writes',
      how: 'connect the client to the master, or to the Sentinels or the Cluster that know which server that is',
    },
  ]
}

function eviction(info: Info): Finding[] {
  const policy = info.get('maxmemory_policy')
  const evicted = numberIn(info, 'evicted_keys')
  const mayEvict = policy !== 'noeviction' && numberIn(info, 'maxmemory') > 0
  if (evicted === 0 && !mayEvict) return []
  const counted = evicted === 0 ? '' : `, and ${evicted} keys were evicted since it started`
  return [
    {
      severity: evicted > 0 ? 'error' : 'warning',
      what: `maxmemory-policy is ${policy}${counted}`,
      why: 'when its memory is full the server makes room by dropping sessions, which logs their users out',
      how: 'CONFIG SET maxmemory-policy noeviction; if other data on the server needs eviction, keep the sessions on another',
    },
  ]
}

function memory(info: Info): Finding[] {
  const limit = numberIn(info, 'maxmemory')
  // What buffers of replicas take does not count.
  const used = numberIn(info, 'used_memory') - numberIn(info, 'mem_not_counted_for_evict')
  if (limit === 0 || used < NEARLY_FULL * limit) return []
  return [
    {
      severity: 'error',
      what: `${Math.round((100 * used) / limit)} % of maxmemory, ${mebibytes(limit)} MiB, is used`,
      why:
        info.get('maxmemory_policy') === 'noeviction'
          ? 'when it is full, log-ins and changes fail with a 503'
          : 'when it is full, sessions are dropped',
      how: 'raise maxmemory, or see what else fills the server: redis-cli --bigkeys',
    },
  ]
}

/** @param save the setting of that name; undefined where it could not be asked for */
function persistence(info: Info, save: string | undefined): Finding[] {
  if (info.get('aof_enabled') === '1') return []
  const how = 'CONFIG SET appendonly yes, and the same in redis.conf; appendfsync everysec is fine'
  if (save === '') {
    return [
      {
        severity: 'advice',
        what: 'the server keeps nothing on disk',
        why: 'when it restarts, everybody has to log in again',
        how,
      },
    ]
  }
  if (save === undefined) {
    return [
      {
        severity: 'advice',
        what: 'the server keeps no append-only file; whether it makes snapshots, the user of the connection may not ask',
        why: 'with snapshots, a crash brings back sessions that were logged out since the last one; without, all are gone',
        how: `${how}. To have it looked at: ACL SETUSER … +config|get`,
      },
    ]
  }
  return [
    {
      severity: 'warning',
      what: `the server makes snapshots (save ${save}) and keeps no append-only file`,
      why: 'a crash brings back sessions that were logged out since the last snapshot, and loses those that began',
      how,
    },
  ]
}

function clock(serverTime: number, now: number): Finding[] {
  const off = Math.abs(serverTime - now)
  if (off < CLOCK_IS_OFF) return []
  return [
    {
      severity: off < CLOCK_IS_WRONG ? 'warning' : 'error',
      what: `the clock of the server and that of this process are ${Math.round(off / 60_000)} min apart`,
      why: 'of two processes whose clocks are 10 min apart, one ends sessions of the other early',
      how: 'run NTP on both machines; timedatectl shows whether it does',
    },
  ]
}

/** Undefined where the user of the connection may not ask that, or the server, as a managed one, has it taken out. */
async function allowed<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (/NOPERM|unknown command/i.test((error as Error).message)) return undefined
    throw error
  }
}

function numberIn(info: Info, name: string): number {
  return Number(info.get(name) ?? 0)
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20)
}
