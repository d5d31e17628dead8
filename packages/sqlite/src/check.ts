import { statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Finding } from '@session-stores/core'

/** With less room than this on its disk, the database cannot grow for long. In bytes. */
const LITTLE_ROOM = 100 * 2 ** 20
/** A write-ahead log that is larger is not emptied: twice what the store leaves of one. In bytes. */
const LARGE_LOG = 32 * 2 ** 20
/** What others than the owner may do with a file. */
const OTHERS = 0o077

/** File systems over a network, by the numbers that Linux gives them: statfs(2), linux/magic.h. */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x01021997, '9P'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x5346414f, 'AFS'],
  [0x73757245, 'Coda'],
])

/**
 * What there is to say of a database.
 * @param file its path; empty for one in memory
 * @param journalMode what `PRAGMA journal_mode` answers
 */
export function checkDatabase(file: string, journalMode: string): Finding[] {
  if (file === '') return []
  const disk = statfsSync(dirname(file))
  return [
    ...networkFileSystem(process.platform === 'linux' ? disk.type : 0, file),
    ...journal(journalMode, file),
    ...mode(file),
    ...room(disk.bavail * disk.bsize, file),
    ...log(file),
  ]
}

export function networkFileSystem(type: number, file: string): Finding[] {
  const name = NETWORK_FILE_SYSTEMS.get(type)
  if (name === undefined) return []
  return [
    {
      severity: 'error',
      what: `${file} is on a network file system, ${name}`,
      why: "SQLite's write-ahead log does not work across machines: sessions are lost, and the file may be damaged",
      how: 'move the file to a local disk; for several machines take the store for Redis, Postgres or Memcached',
    },
  ]
}

function journal(found: string, file: string): Finding[] {
  if (found === 'wal') return []
  return [
    {
      severity: 'warning',
      what: `${file} is used with journal_mode ${found}`,
      why: 'whoever writes holds up all who read, and each save waits for the disk',
      how: 'PRAGMA journal_mode = WAL, once, where the database is opened',
    },
  ]
}

/** With the files beside it, which hold sessions as well. */
function mode(file: string): Finding[] {
  if (process.platform === 'win32') return [] // its rights are not in the mode
  const open = [file, `${file}-wal`].filter((each) => (modeOf(each) & OTHERS) !== 0)
  if (open.length === 0) return []
  return [
    {
      severity: 'warning',
      what: `others than its owner may use ${open.map((each) => `${each} (mode ${modeOf(each).toString(8)})`).join(' and ')}`,
      why: 'every user of this machine with that right sees what sessions hold, or can change it',
      how: `chmod 600 ${open.join(' ')}`,
    },
  ]
}

function room(bytes: number, file: string): Finding[] {
  if (bytes >= LITTLE_ROOM) return []
  return [
    {
      severity: 'error',
      what: `${mebibytes(bytes)} MiB are free on the disk of ${file}`,
      why: 'when it is full, log-ins and changes fail with a 503',
      how: 'make room on it, or move the file to a larger one while no process uses it',
    },
  ]
}

function log(file: string): Finding[] {
  const bytes = statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0
  if (bytes < LARGE_LOG) return []
  return [
    {
      severity: 'warning',
      what: `the write-ahead log ${file}-wal has grown to ${mebibytes(bytes)} MiB`,
      why: 'somebody has been reading without an end, so it cannot be emptied: it fills the disk, and reads become slower',
      how: 'end the process that holds a transaction or an iterator open, such as a backup or a shell with the file',
    },
  ]
}

function modeOf(file: string): number {
  return (statSync(file, { throwIfNoEntry: false })?.mode ?? 0) & 0o777
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20)
}
