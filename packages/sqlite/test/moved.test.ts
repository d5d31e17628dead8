import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Browser, buildApp, until } from '@session-stores/testing'
import { unprivileged } from '@session-stores/testing/unprivileged'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { SqliteStore } from '../src/index.ts'
import { newFiles } from './folder.ts'
import { Worker } from './worker.ts'

const newFile = newFiles('sqlite-moved')

/** Within how long a process must notice, in ms. */
const NOTICED = 5000
/** After how long it has looked again for sure, in ms. */
const LOOKED = 1100

const faults: Record<string, (path: string) => void> = {
  'was deleted': (path) => {
    for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix)
  },
  'was moved': (path) => renameSync(path, `${path}-old`),
  'was replaced by another one': (path) => {
    new SqliteStore({ path: `${path}-new` }).close()
    renameSync(`${path}-new`, path)
  },
  'was moved with its folder': (path) => renameSync(dirname(path), `${dirname(path)}-old`),
  'was deleted behind a symbolic link': (path) => rmSync(linkTarget(path)),
  'was left by a symbolic link that now points to another one': (path) => {
    rmSync(path)
    symlinkSync(`${path}-new`, path)
    new SqliteStore({ path: `${path}-new` }).close()
  },
  'lost its write-ahead log': (path) => rmSync(`${path}-wal`),
  'lost the index of its write-ahead log': (path) => rmSync(`${path}-shm`),
}

describe('when the file in use', () => {
  test.each(Object.entries(faults))('%s, every process notices, and answers 503', async (name, fault) => {
    const path = newPath()
    if (name.includes('symbolic link')) symlinkSync(linkTarget(path), path)
    const { browser } = await application(path)
    const worker = startWorker(path)
    await worker.expect('ready')
    fault(path)
    // Until it is noticed, the session is there as before: a user is never logged out.
    const refused = await until('the application notices', () => refusal(browser), NOTICED)
    expect(refused).toMatchObject({ code: 'SESSION_STORE_UNAVAILABLE' })
    expect((await browser.request('POST', '/set/theme/dark')).status).toBe(503)
    const told = await until('the other process notices', () => complaint(worker), NOTICED)
    expect(told).toMatch(
      /sessions\.sqlite\S* was (moved or deleted|replaced by another file) while .* were in use: put/,
    )
  })

  test('is put back, the sessions are there again', async () => {
    const path = newPath()
    const { browser } = await application(path)
    renameSync(path, `${path}-old`)
    await until('it is noticed', () => refusal(browser), NOTICED)
    renameSync(`${path}-old`, path)
    expect(await browser.get('/me')).toEqual({ user: 'ada' })
    await browser.post('/set/theme/dark')
    expect(await browser.get('/me')).toEqual({ user: 'ada', theme: 'dark' })
  })

  test('was replaced, it takes a new start to use the new one', async () => {
    const path = newPath()
    const { app, browser } = await application(path)
    const replacement = new SqliteStore({ path: `${path}-new` })
    await replacement.set('id', { from: 'the new file' })
    await replacement.close()
    renameSync(`${path}-new`, path)
    await until('it is noticed', () => refusal(browser), NOTICED)
    await sleep(LOOKED)
    expect(await refusal(browser)).toBeDefined()
    await app.close()
    for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true })
    const store = new SqliteStore({ path })
    expect(await store.get('id')).toMatchObject({ from: 'the new file' })
    await store.close()
  })
})

describe('nothing is amiss', () => {
  test('while other processes come and go, and the file is tidied up and copied', async () => {
    const path = newPath()
    const store = new SqliteStore({ path })
    await store.set('id', { a: 1 })
    await new SqliteStore({ path }).close()
    const database = new Database(path)
    database.exec(`VACUUM; PRAGMA wal_checkpoint(TRUNCATE); VACUUM INTO '${path}-copy'`)
    database.close()
    await sleep(LOOKED)
    expect(await store.get('id')).toMatchObject({ a: 1 })
    await store.close()
  })

  test('when the process may not look into the folder any more', async () => {
    const path = newPath()
    const { uid } = unprivileged()
    const worker = startWorker(path, ...(uid === undefined ? [] : [`${uid}`]))
    await worker.expect('ready')
    chmodSync(dirname(path), uid === undefined ? 0o000 : 0o700)
    onTestFinished(() => chmodSync(dirname(path), 0o700))
    await sleep(LOOKED)
    worker.send('id')
    await worker.expect('done')
  })

  test('with sessions in memory', async () => {
    const database = new Database(':memory:')
    const stores = [new SqliteStore({ path: ':memory:' }), new SqliteStore({ database })]
    for (const store of stores) await store.set('id', { a: 1 })
    await sleep(LOOKED)
    for (const store of stores) {
      expect(await store.get('id')).toMatchObject({ a: 1 })
      await store.close()
    }
  })
})

/** In a folder of its own. */
function newPath(): string {
  const folder = newFile().replace(/\.sqlite$/, '')
  mkdirSync(folder)
  return join(folder, 'sessions.sqlite')
}

function linkTarget(path: string): string {
  return join(dirname(path), 'target-of-sessions.sqlite')
}

/** An application on this file, with a user logged in. */
async function application(path: string) {
  const app = buildApp(new SqliteStore({ path }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  onTestFinished(() => app.close())
  const browser = new Browser(app)
  await browser.post('/login/ada')
  return { app, browser }
}

/** The answer to a request that was refused; undefined when it was answered. */
async function refusal(browser: Browser): Promise<object | undefined> {
  const response = await browser.request('GET', '/me')
  if (response.status === 503) return (await response.json()) as object
  expect(await response.json()).toEqual({ user: 'ada' })
  return undefined
}

/** What the process says of a save that was refused; undefined when it was done. */
async function complaint(worker: Worker): Promise<string | undefined> {
  worker.send('id')
  const line = await worker.next()
  return line === 'done' ? undefined : line
}

function startWorker(...args: string[]): Worker {
  const worker = new Worker('save-worker.ts', ...args)
  onTestFinished(() => worker.kill())
  return worker
}
