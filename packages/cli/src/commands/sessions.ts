import { setTimeout as sleep } from 'node:timers/promises'
import type { Batch, KeyedRecord, SessionRecord, SessionStore } from '@session-stores/core'
import type { Request } from '../arguments.ts'
import { Exit, type ExitCode, UsageError } from '../errors.ts'
import {
  confirm,
  numberText,
  type Output,
  type Progress,
  printable,
  sessionsText,
  timeText,
  withProgress,
} from '../output.ts'

/** A batch of a list is followed by a rest of as many times what it took: requests first. */
const REST = 3

export async function count(store: SessionStore, output: Output): Promise<ExitCode> {
  const total = await withProgress('counting', (progress) => store.count({ onProgress: (n) => progress.set(n) }))
  output.write({ count: total }, numberText(total))
  return Exit.done
}

/** By the records, not the sessions in them: so what is sealed is listed without its key, too. */
export async function list(store: SessionStore, { user }: Request, output: Output): Promise<ExitCode> {
  let total = 0
  const listAll = async (progress: Progress) => {
    for await (const { key, record } of recordsOf(store, user)) {
      total += 1
      progress.set(total)
      output.row(described(key, record), [
        { name: 'HANDLE', width: 43, text: key },
        { name: 'BEGAN', width: 20, text: timeText(record.createdAt) },
        { name: 'ENDS', width: 20, text: timeText(record.expiresAt) },
        { name: 'USER', width: 0, text: printable(record.userId ?? '') },
      ])
    }
  }
  await withProgress('listing', listAll, false)
  if (total === 0) output.remark('no sessions')
  return Exit.done
}

export async function show(store: SessionStore, { handle = '', data }: Request, output: Output): Promise<ExitCode> {
  const stored = await store.backend.read(handle)
  if (stored === 'unreadable') return none('what is stored there is no session that this version can read')
  if (stored === undefined || hasEnded(stored.record)) return none('there is no session with this handle')
  const { record } = stored
  const bytes = Buffer.byteLength(record.data)
  const value = { ...described(handle, record), bytes }
  const lines = [
    ['handle', handle],
    ...(record.userId === undefined ? [] : [['user', printable(record.userId)]]),
    ['began', timeText(record.createdAt)],
    ['ends', timeText(record.expiresAt)],
    ['holds', `${numberText(bytes)} bytes`],
  ]
  const text = lines.map(([name = '', what]) => `${name.padEnd(8)}${what}`).join('\n')
  if (!data) {
    output.write(value, text)
    return Exit.done
  }
  const info = await store.getByHandle(handle)
  if (info === null) return none('it is sealed, by none of the keys in SESSION_STORES_KEYS, or cannot be read')
  output.write({ ...value, data: info.session }, `${text}\n\n${shown(info.session)}`)
  return Exit.done
}

export async function end(store: SessionStore, request: Request, output: Output): Promise<ExitCode> {
  const { handle, user, yes } = request
  if (!yes && !(await confirm(await questionFor(store, request)))) return none('nothing was ended')
  if (handle !== undefined) {
    if (!(await store.destroyByHandle(handle))) return none('there is no session with this handle')
    output.write({ ended: 1 }, 'ended')
    return Exit.done
  }
  if (user !== undefined) {
    const ended = await withProgress('ending', () => store.destroyByUser(user))
    output.write({ ended }, `ended ${sessionsText(ended)}`)
    return Exit.done
  }
  await withProgress('ending all', () => store.clear())
  output.write({ ended: 'all' }, 'ended all sessions')
  return Exit.done
}

export async function prune(store: SessionStore, output: Output): Promise<ExitCode> {
  const removed = await withProgress('pruning', (progress) => store.prune({ onProgress: (n) => progress.set(n) }))
  const byItself = store.backend.prune ? '' : `: ${store.backend.name} deletes them by itself`
  output.write({ removed }, `deleted ${sessionsText(removed)} that had expired${byItself}`)
  return Exit.done
}

async function questionFor(store: SessionStore, { handle, user }: Request): Promise<string> {
  if (handle !== undefined) return 'End this session?'
  if (user !== undefined) {
    const total = await withProgress('looking', async (progress) => {
      let n = 0
      for await (const _ of recordsOf(store, user)) progress.set(++n)
      return n
    })
    return `End ${sessionsText(total)} of user ${printable(user)}?`
  }
  if (!store.backend.count) return 'End all sessions?'
  const total = await withProgress('counting', (progress) => store.count({ onProgress: (n) => progress.set(n) }))
  return `End all ${sessionsText(total)}?`
}

/** Those that have not ended: of one user, or all. Each once. */
async function* recordsOf(store: SessionStore, user: string | undefined): AsyncGenerator<KeyedRecord> {
  const { name, scan, findByUser } = store.backend
  if (user === undefined ? !scan : !findByUser) throw new UsageError(`${name} cannot list its sessions`)
  const next = (from: string | undefined) => (user === undefined ? scan?.(from) : findByUser?.(user, from))
  const seen = new Set<string>()
  let from: string | undefined
  do {
    const begun = performance.now()
    const batch = (await next(from)) as Batch & { records: KeyedRecord[] }
    const took = performance.now() - begun
    for (const each of batch.records) {
      if (seen.has(each.key) || hasEnded(each.record)) continue
      seen.add(each.key)
      yield each
    }
    from = batch.next
    if (from !== undefined) await sleep(REST * took)
  } while (from !== undefined)
}

function hasEnded({ expiresAt }: SessionRecord): boolean {
  return expiresAt <= Date.now()
}

/** For programs. Nothing of what it holds. */
function described(handle: string, { userId, createdAt, expiresAt }: SessionRecord): object {
  const times = { began: new Date(createdAt).toISOString(), ends: new Date(expiresAt).toISOString() }
  return userId === undefined ? { handle, ...times } : { handle, user: userId, ...times }
}

/** JSON is without control characters already, but for some. */
function shown(session: object): string {
  return JSON.stringify(session, undefined, 2).split('\n').map(printable).join('\n')
}

function none(why: string): ExitCode {
  process.stderr.write(`${why}\n`)
  return Exit.no
}
