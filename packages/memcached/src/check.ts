import type { Call, Finding } from '@session-stores/core'
import type { Namespace } from './namespace.ts'

/**
 * How many of its connections a server may have in use, as a share. It counts its own files against that limit, too, so it is
 * full somewhat before.
 */
const NEARLY_ALL = 0.8
/** How long the key of a session is. */
const KEY = 'x'.repeat(43)
/** How much longer than a record's data its text is, generously: times, version, user. In bytes. */
const RECORD_OVERHEAD = 200

/**
 * What there is to say of one server.
 * @param dataBytes how many bytes the data of a record may have
 */
export async function checkServer(namespace: Namespace, dataBytes: number, call: Call): Promise<Finding[]> {
  const { name } = namespace.server
  const stats = await namespace.stats(call)
  const numberOf = (stat: string) => Number(stats.get(stat) ?? 0)
  return [
    ...evictions(name, numberOf('evictions'), numberOf('uptime')),
    ...connections(name, numberOf('curr_connections'), numberOf('max_connections'), numberOf('rejected_connections')),
    ...itemLimit(name, namespace.textBytes(KEY) ?? (await namespace.askTextBytes(KEY, call)), dataBytes),
  ]
}

/** Of a server of several that could not be asked. */
export function unreachable({ server }: Namespace, reason: unknown): Finding {
  const { message } = ((reason as Error).cause ?? reason) as Error
  return {
    severity: 'error',
    what: `${server.name} cannot be asked: ${message}`,
    why: 'requests for the sessions that are on it fail with a 503',
    how: 'see whether it runs, and take it out of the list of the client if it does not come back',
  }
}

function evictions(name: string, count: number, uptime: number): Finding[] {
  if (count === 0) return []
  return [
    {
      severity: 'error',
      what: `${name} has evicted ${count} items since it started ${Math.ceil(uptime / 3600)} h ago`,
      why: 'items that are evicted before their time are sessions, whose users have to log in again, or those of others',
      how: 'give it more memory (-m), and sessions a server of their own',
    },
  ]
}

function connections(name: string, used: number, most: number, refused: number): Finding[] {
  if (refused === 0 && used < NEARLY_ALL * most) return []
  const counted = refused === 0 ? '' : `, and has refused ${refused} since it started`
  return [
    {
      severity: refused > 0 ? 'error' : 'warning',
      what: `${name} has ${used} connections open, of ${most} at most${counted}`,
      why: 'beyond that it takes no new ones, and processes that start or reconnect get a 503 for its sessions',
      how: 'start it with a larger -c, or see which clients keep connections that they do not need',
    },
  ]
}

/** @param textBytes how many bytes the text of a record may have for the server */
function itemLimit(name: string, textBytes: number, dataBytes: number): Finding[] {
  const room = textBytes - RECORD_OVERHEAD
  if (room >= dataBytes) return []
  return [
    {
      severity: 'warning',
      what: `${name} has room for about ${room} bytes in an item, and by maxBytes a session may need ${dataBytes}`,
      why: 'a larger one is refused with SESSION_TOO_LARGE',
      how: 'start it with a larger -I, or set maxBytes to what fits',
    },
  ]
}
