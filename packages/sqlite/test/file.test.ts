import { chmodSync, chownSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { removeFolder } from '@session-stores/testing'
import { serverFolder, unprivileged } from '@session-stores/testing/unprivileged'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { SqliteStore } from '../src/index.ts'
import { newFiles } from './folder.ts'
import { Worker } from './worker.ts'

const newFile = newFiles('sqlite-file')

describe('the file', () => {
  test('a new one is for its owner only, and so is what SQLite puts next to it', async () => {
    const path = newFile()
    const store = open(path)
    await store.set('id', { a: 1 })
    expect(filesOf(path)).toEqual(['', '-shm', '-wal'])
    for (const suffix of filesOf(path)) expect(modeOf(path + suffix)).toBe('600')
    await store.close()
    expect(filesOf(path)).toEqual([''])
  })

  test('one that is there keeps its mode and its sessions', async () => {
    const path = newFile()
    writeFileSync(path, '', { mode: 0o640 })
    await open(path).set('id', { a: 1 })
    expect(await open(path).get('id')).toMatchObject({ a: 1 })
    expect(modeOf(path)).toBe('640')
  })

  test.each(['NORMAL', 'FULL'] as const)(
    'has a write-ahead log, and sessions with synchronous %s',
    async (synchronous) => {
      const path = newFile()
      const store = new SqliteStore({ path, synchronous })
      await store.set('id', { a: 1 })
      const database = look(path)
      expect(database.pragma('journal_mode', { simple: true })).toBe('wal')
      expect(await store.get('id')).toMatchObject({ a: 1 })
      await store.close()
    },
  )

  test('holds no session id', async () => {
    const path = newFile()
    const store = open(path)
    await store.set('the-id-in-the-cookie', { a: 1 })
    const rows = look(path).prepare('SELECT * FROM sessions').all()
    expect(rows).toHaveLength(1)
    expect(JSON.stringify(rows)).not.toContain('the-id-in-the-cookie')
  })

  test('a new one is for its owner only behind a symbolic link, too', async () => {
    const [path, link] = [newFile(), newFile()]
    symlinkSync(path, link)
    await open(link).set('id', { a: 1 })
    expect(filesOf(path)).toEqual(['', '-shm', '-wal'])
    for (const suffix of filesOf(path)) expect(modeOf(path + suffix)).toBe('600')
  })

  test('in a folder that is not there is an error that names it', () => {
    const path = `${newFile()}/sessions.sqlite`
    expect(() => open(path)).toThrow(/ENOENT.*sessions\.sqlite/)
  })

  test('that is a folder is an error that names it', () => {
    const path = dirname(newFile())
    expect(() => open(path)).toThrow(`${path} cannot be used: unable to open database file (SQLITE_CANTOPEN`)
  })

  test('that may only be read, alone or with its folder, is an error that names it, before anybody logs in', async () => {
    const { uid, gid } = unprivileged()
    const folder = serverFolder('sqlite-readonly')
    onTestFinished(() => removeFolder(folder))
    const path = join(folder, 'sessions.sqlite')
    await open(path).close()
    const outcomes: string[] = []
    for (const [file, mode] of [
      [path, 0o444],
      [folder, 0o555],
    ] as const) {
      const usual = statSync(file).mode
      if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid)
      chmodSync(file, mode)
      const worker = new Worker('open-worker.ts', ...(uid === undefined ? [] : [`${uid}`]))
      onTestFinished(() => worker.kill())
      await worker.expect('ready')
      worker.send(path)
      outcomes.push((await worker.next()) as string)
      chmodSync(file, usual)
    }
    expect(outcomes).toEqual([
      expect.stringMatching(/EACCES.*sessions\.sqlite/),
      expect.stringMatching(/sessions\.sqlite cannot be used: .*SQLITE_READONLY_DIRECTORY/),
    ])
  })
})

describe('the schema', () => {
  test('has its version in user_version, and opening again changes nothing', async () => {
    const path = newFile()
    await open(path).close()
    const before = readFileSync(path)
    expect(look(path).pragma('user_version', { simple: true })).toBe(1)
    await open(path).close()
    expect(readFileSync(path).equals(before)).toBe(true)
  })

  test('of a newer version is an error that names both versions and the way out', async () => {
    const path = newFile()
    await open(path).close()
    change(path, 'PRAGMA user_version = 7')
    expect(() => open(path)).toThrow(/schema version 7,.* up to 1: update the package/)
    expect(look(path).pragma('user_version', { simple: true })).toBe(7)
  })

  test.each([
    ['of an application', 'CREATE TABLE users (id)'],
    ['of an application with a version of its own', 'CREATE TABLE users (id); PRAGMA user_version = 1'],
    ['of another session store', 'CREATE TABLE sessions (sid TEXT PRIMARY KEY, sess JSON, expire TEXT)'],
  ])('is not put into a database %s', (_, sql) => {
    const path = newFile()
    change(path, sql)
    const before = look(path).prepare('SELECT * FROM sqlite_schema').all()
    expect(() => open(path)).toThrow(`${path} holds something other than the sessions`)
    expect(look(path).prepare('SELECT * FROM sqlite_schema').all()).toEqual(before)
  })

  test('is not put into a file that is no database', () => {
    const path = newFile()
    const content = 'a diary, of more than the hundred bytes that the header of a database has. '.repeat(3)
    writeFileSync(path, content)
    expect(() => open(path)).toThrow(`${path} is not a SQLite database`)
    expect(readFileSync(path, 'utf8')).toBe(content)
    expect(filesOf(path)).toEqual([''])
  })
})

test('a closed store lets go of its file, and closing again is fine', async () => {
  const path = newFile()
  const store = open(path)
  await store.close()
  await store.close()
  await expect(store.get('id')).rejects.toMatchObject({ code: 'SESSION_STORE_CLOSED' })
  change(path, 'BEGIN EXCLUSIVE; ROLLBACK')
})

function open(path: string): SqliteStore {
  const store = new SqliteStore({ path })
  onTestFinished(() => store.close())
  return store
}

/** A second connection to the file, to see what is really there. */
function look(path: string): Database.Database {
  const database = new Database(path, { readonly: true })
  onTestFinished(() => {
    database.close()
  })
  return database
}

function change(path: string, sql: string): void {
  const database = new Database(path)
  database.exec(sql)
  database.close()
}

/** What is there of the file itself and SQLite's files next to it, by their suffix. */
function filesOf(path: string): string[] {
  return readdirSync(dirname(path))
    .filter((name) => name.startsWith(basename(path)))
    .map((name) => name.slice(basename(path).length))
    .sort()
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8)
}
