import { execFileSync } from 'node:child_process'
import { chmodSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Finding } from '@session-stores/core'
import { dataFolder, removeFolder } from '@session-stores/testing'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { networkFileSystem } from '../src/check.ts'
import { SqliteStore, type SqliteStoreOptions } from '../src/index.ts'
import { newFiles } from './folder.ts'

const newFile = newFiles('sqlite-check')
const MIB = 2 ** 20
/** Who may mount a small disk. */
const isRootOnLinux = process.platform === 'linux' && process.getuid?.() === 0
if (!isRootOnLinux) console.warn('LEFT OUT  a disk that is nearly full: to make one takes root, and Linux')

function open(options: SqliteStoreOptions): SqliteStore {
  const store = new SqliteStore(options)
  onTestFinished(() => store.close())
  return store
}

function connectTo(path: string): Database.Database {
  const database = new Database(path)
  onTestFinished(() => void database.close())
  return database
}

/** The one finding, in short. */
async function findingOf(store: SqliteStore): Promise<string> {
  const findings = await store.check()
  expect(findings).toHaveLength(1)
  const [{ severity, what }] = findings as [Finding]
  return `${severity}: ${what}`
}

test('check finds nothing on a file that the store made, and in memory', async () => {
  const store = open({ path: newFile() })
  await store.set('id', { a: 1 })
  expect(await store.check()).toEqual([])
  expect(await open({ path: ':memory:' }).check()).toEqual([])
})

describe('check finds', () => {
  test.skipIf(process.platform === 'win32')('that others may read the file', async () => {
    const path = newFile()
    const store = open({ path })
    chmodSync(path, 0o640)
    expect(await findingOf(store)).toBe(`warning: others than its owner may use ${path} (mode 640)`)
    chmodSync(`${path}-wal`, 0o644)
    expect(await findingOf(store)).toBe(
      `warning: others than its owner may use ${path} (mode 640) and ${path}-wal (mode 644)`,
    )
  })

  test('a database without a write-ahead log', async () => {
    const path = newFile()
    await new SqliteStore({ path }).close()
    const database = connectTo(path)
    database.pragma('journal_mode = DELETE')
    expect(await findingOf(open({ database }))).toBe(`warning: ${path} is used with journal_mode delete`)
  })

  test('a write-ahead log that grows, since somebody reads without an end', async () => {
    const path = newFile()
    const store = open({ path })
    await store.set('id', {})
    const reader = connectTo(path)
    reader.exec('BEGIN; SELECT count(*) FROM sessions')
    reader.prepare('SELECT count(*) FROM sessions').get()
    const text = 'x'.repeat(60_000)
    for (let n = 0; n < 600; n += 1) await store.set(`id${n}`, { text })
    expect(await findingOf(store)).toMatch(/^warning: the write-ahead log .*\.sqlite-wal has grown to [34]\d MiB$/)
    reader.exec('COMMIT')
  })

  test.runIf(isRootOnLinux)('a disk that is nearly full', async () => {
    const folder = dataFolder('sqlite-small-disk')
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=160m', 'tmpfs', folder])
    onTestFinished(() => {
      execFileSync('umount', ['--lazy', folder])
      removeFolder(folder)
    })
    const store = open({ path: join(folder, 'sessions.sqlite') })
    expect(await store.check()).toEqual([])
    const { bavail, bsize } = statfsSync(folder)
    writeFileSync(join(folder, 'filler'), Buffer.alloc(bavail * bsize - 50 * MIB))
    expect(await findingOf(store)).toBe(`error: 50 MiB are free on the disk of ${join(folder, 'sessions.sqlite')}`)
  })

  // By the number that Linux gives it: none can be mounted here.
  test('a network file system', () => {
    expect(networkFileSystem(0x6969, '/mnt/sessions.sqlite')).toMatchObject([
      { severity: 'error', what: '/mnt/sessions.sqlite is on a network file system, NFS' },
    ])
    expect(networkFileSystem(statfsSync('.').type, '/srv/sessions.sqlite')).toEqual([])
  })
})
