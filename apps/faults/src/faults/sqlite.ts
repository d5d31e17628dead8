import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { dataFolder, removeFolder } from '@session-stores/testing'
import Database from 'better-sqlite3'
import type { Faults, Scene, Subject } from '../fault.ts'
import { openerOf } from '../openers.ts'
import { SmallDisk } from '../small-disk.ts'
import { processFaults } from './process.ts'

interface SqliteStage {
  path: string
  disk: SmallDisk | undefined
}

interface SqliteSetup {
  /** Keeps the file on a disk of so many MiB. */
  disk?: number
}

const DURATION = 5000

const faults: Faults<SqliteStage, SqliteSetup> = {
  ...processFaults,
  locked: {
    what: 'another program has the file locked (BEGIN IMMEDIATE) for 5 s',
    options: { touchInterval: 0 },
    run: ({ path }) => lockFile(path, DURATION),
    expect: { refuses: 'changes' },
  },
  'locked-often': {
    what: 'another program has the file locked for 0.7 of every 0.9 s',
    async run({ path }) {
      for (let n = 0; n < 6; n += 1) {
        await lockFile(path, 700)
        await sleep(200)
      }
    },
    expect: { refuses: 'nothing' },
  },
  'long-reader': {
    what: 'another program reads in one transaction for 5 s',
    async run({ path }) {
      const other = new Database(path)
      other.exec('BEGIN; SELECT count(*) FROM sqlite_schema')
      await sleep(DURATION)
      other.close()
    },
    expect: { refuses: 'nothing' },
  },
  vacuumed: {
    what: 'VACUUM INTO another file, and VACUUM, ten times',
    async run({ path }) {
      for (let n = 0; n < 10; n += 1) {
        withDatabase(path, (other) => other.exec(`VACUUM INTO '${path}.copy${n}'; VACUUM`))
        await sleep(200)
      }
    },
    expect: { refuses: 'nothing' },
  },
  'disk-full': {
    what: 'the disk is full for 5 s',
    needs: 'root',
    setup: { disk: 8 },
    options: { touchInterval: 0 },
    bytes: 2000,
    async run({ disk, load }) {
      disk?.fill()
      await load.newcomers(300) // what is there has some room in the file, which others left behind
      await sleep(DURATION)
      disk?.empty()
    },
    expect: { refuses: 'changes' },
  },
  'other-frozen': {
    what: 'one of the two processes is stopped (SIGSTOP) for 0.7 s, six times',
    async run({ apps }) {
      for (let n = 0; n < 6; n += 1) {
        apps[1].pause()
        await sleep(700)
        apps[1].resume()
        await sleep(200)
      }
    },
    expect: { refuses: 'nothing', loopStall: Number.POSITIVE_INFINITY },
  },
  'index-locked': {
    what: 'another program has the locks of the write-ahead log’s index for 5 s',
    needs: 'Linux',
    run: ({ path }) => lockIndex(`${path}-shm`),
    // SQLite waits inside its call, for 10 s at most, and no setting changes that: see Limits in the store's README.
    expect: { refuses: 'perhaps', longestWait: 11_000, loopStall: 11_000 },
  },
  deleted: {
    what: 'the file is deleted; 6 s later one process is started anew, 2 s later the other',
    async run({ path, apps, forgot }) {
      removeDatabase(path)
      await startAnew(apps, forgot)
    },
    expect: { server: 'forgets' },
  },
  replaced: {
    what: 'the file is replaced by a copy that is 2 s old, and the processes started anew in the same way',
    async run({ path, apps, forgot }) {
      const copy = `${path}.copy`
      withDatabase(path, (other) => other.exec(`VACUUM INTO '${copy}'`))
      await sleep(2000)
      removeDatabase(path)
      renameSync(copy, path)
      await startAnew(apps, forgot)
    },
    expect: { server: 'goes back' },
  },
}

export const sqlite: Subject<SqliteStage, SqliteSetup> = {
  name: 'sqlite',
  skip: [],
  about: `One file on a local disk, and two processes. With \`synchronous: 'NORMAL'\` the last moments before a power cut may be
missing, log-outs among them; the crash of a process loses nothing. That needs no server, and no network.`,
  faults,
  async start({ disk: size }) {
    const disk = size === undefined ? undefined : new SmallDisk(size)
    const folder = disk?.folder ?? dataFolder('sqlite')
    const path = join(folder, 'sessions.sqlite')
    return {
      ...{ path, disk, opener: openerOf('sqlite') },
      settings: { path },
      async stop() {
        if (disk === undefined) removeFolder(folder)
        else disk.remove()
      },
    }
  },
}

/** As another program on the machine. */
function withDatabase(path: string, act: (other: Database.Database) => void): void {
  const other = new Database(path)
  try {
    act(other)
  } finally {
    other.close()
  }
}

function removeDatabase(path: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix)
}

/** Until then the applications should have noticed, or one works on another file than the other. */
async function startAnew([one, other]: Scene['apps'], forgot: () => void): Promise<void> {
  await sleep(6000)
  await one.end()
  await one.start()
  forgot()
  await sleep(2000)
  await other.end()
  await other.start()
}

/** Locks the file against other writers, as soon as none of them is in the way, for so many ms. */
export async function lockFile(path: string, ms: number): Promise<void> {
  const other = new Database(path)
  other.exec('BEGIN IMMEDIATE')
  await sleep(ms)
  other.close()
}

/** SQLite's locks on that file are bytes 120 to 127, and record locks are what Node has no call for. */
async function lockIndex(path: string): Promise<void> {
  const script = `
    use Fcntl;
    open(my $file, '+<', $ARGV[0]) or die $!;
    my $lock = pack('s s x4 q q l x4', F_WRLCK, 0, 120, 8, 0);
    until (fcntl($file, F_SETLK, $lock)) { select(undef, undef, undef, 0.001) }
    sleep 5`
  const perl = spawn('perl', ['-e', script, path], { stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = await once(perl, 'exit')
  if (code !== 0) throw new Error(`perl ended with ${code}`)
}
