import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect, isDeepStrictEqual } from 'node:util'
import type { StoreOptions } from '@session-stores/core'
import { Browser, buildApp, until } from '@session-stores/testing'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { SqliteStore } from '../src/index.ts'
import { contentsAfter, ids, type Step, stepAfter } from './crash.ts'
import { newFiles } from './folder.ts'
import { hammer } from './hammer.ts'
import { Worker } from './worker.ts'

const newFile = newFiles('sqlite-processes')

test('two processes that change the same sessions lose nothing and see no error', async () => {
  const reports = await hammer(2, 3000)
  for (const { saves } of reports) expect(saves).toBeGreaterThan(100)
})

test('ten processes open a new file at once', async () => {
  const workers = Array.from({ length: 10 }, () => startWorker('open-worker.ts'))
  for (const worker of workers) await worker.expect('ready')
  for (let round = 0; round < 5; round += 1) {
    const path = newFile()
    for (const worker of workers) worker.send(path)
    for (const worker of workers) await worker.expect('done')
    const store = new SqliteStore({ path })
    expect(await store.count()).toBe(10)
    await store.close()
  }
})

test('a process killed in the middle of its writes leaves every acknowledged session, whole', async () => {
  const path = newFile()
  const steps: Step[] = []
  for (let round = 0; round < 6; round += 1) {
    const worker = startWorker('crash-worker.ts', path, JSON.stringify(steps.at(-1) ?? { does: 'save', n: 0 }))
    const first = await worker.next()
    await sleep(Math.random() * 300) // whenever it is, everything must hold
    await worker.kill()
    for (const line of [first, ...(await worker.rest())]) steps.push(JSON.parse(line as string))

    const database = new Database(path)
    expect(database.pragma('integrity_check', { simple: true })).toBe('ok')
    database.close()
    const found = await contentsOf(path)
    // It may have died after it had done a step, and before it could say so.
    const oneMore = stepAfter(steps.at(-1) as Step)
    if (isDeepStrictEqual(found, contentsAfter([...steps, oneMore]))) steps.push(oneMore)
    else assert.deepEqual(found, contentsAfter(steps))
  }
  expect(steps.length).toBeGreaterThan(100)
})

test('a copy, taken as the README says while another process writes, is whole and has all that was acknowledged', async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const [, sql = ''] = /sqlite3 sessions\.sqlite "([^"]+)"/.exec(readme) ?? []
  const [path, copy] = [newFile(), newFile()]
  const worker = startWorker('crash-worker.ts', path, JSON.stringify({ does: 'save', n: 0 }))
  const steps: Step[] = []
  while (steps.length < 50) steps.push(JSON.parse((await worker.next()) as string))
  const database = new Database(path)
  database.exec(sql.replace('copy.sqlite', copy))
  database.close()
  await worker.kill()
  for (const line of await worker.rest()) steps.push(JSON.parse(line))
  steps.push(stepAfter(steps.at(-1) as Step)) // which it may have done before it could say so
  const states = steps.slice(49).map((_, n) => contentsAfter(steps.slice(0, 50 + n)))
  expect(states).toContainEqual(await contentsOf(copy))
})

describe('while another process holds the write lock', () => {
  test('reads go on, and a save waits until it is free', async () => {
    const { browsers, lock, unlock } = await lockable(20_000)
    const [ada, bob] = browsers
    await lock()
    let answered = false
    const saved = ada.post('/set/theme/dark').finally(() => {
      answered = true
    })
    for (let n = 0; n < 100; n += 1) expect(await bob.get('/me')).toEqual({ user: 'bob' })
    expect(answered).toBe(false)
    await unlock()
    await saved
    expect(await ada.get('/me')).toEqual({ user: 'ada', theme: 'dark' })
  })

  test('a save that waits too long answers 503 in time, the event loop stays free, and afterwards all is well', async () => {
    const timeout = 1000
    const { browsers, lock, unlock } = await lockable(timeout)
    await lock()
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    const begun = performance.now()
    const responses = await Promise.all(
      browsers.flatMap((browser) => Array.from({ length: 10 }, () => browser.request('POST', '/set/theme/dark'))),
    )
    const took = performance.now() - begun
    delay.disable()
    for (const response of responses) {
      expect(response.status).toBe(503)
      expect(await response.json()).toMatchObject({ code: 'SESSION_STORE_UNAVAILABLE' })
    }
    expect(took).toBeGreaterThan(timeout * 0.9)
    expect(took).toBeLessThan(timeout * 2)
    expect(delay.max / 1e6).toBeLessThan(timeout * 0.8)
    await sleep(100) // an attempt may end just after its caller was refused
    await unlock()
    const [ada] = browsers
    expect(await ada.get('/me')).toEqual({ user: 'ada' })
    await ada.post('/set/theme/light')
    expect(await ada.get('/me')).toEqual({ user: 'ada', theme: 'light' })
  })

  test('a request that only reads passes, though its session is due to be prolonged', async () => {
    const { browsers, lock, unlock } = await lockable(500, { touchInterval: 0 })
    const [ada, bob] = browsers
    await lock()
    for (let n = 0; n < 3; n += 1) {
      expect(await ada.get('/me')).toEqual({ user: 'ada' })
      expect(await bob.get('/me')).toEqual({ user: 'bob' })
    }
    expect((await ada.request('POST', '/set/theme/dark')).status).toBe(503)
    await unlock()
    await until('it saves again', async () => (await ada.request('POST', '/set/theme/dark')).status === 200)
    expect(await ada.get('/me')).toEqual({ user: 'ada', theme: 'dark' })
  })

  test('once a save has waited in vain, the next are refused after a moment, and reads are answered at once', async () => {
    const path = newFile()
    const timeout = 2000
    const store = new SqliteStore({ path, timeout })
    await store.set('id', { a: 1 })
    const { lock, unlock } = await locker(path)
    await lock()
    await expect(store.set('other', {})).rejects.toMatchObject({ statusCode: 503 })
    const begun = performance.now()
    for (let n = 0; n < 5; n += 1) {
      await expect(store.set('other', {})).rejects.toMatchObject({ statusCode: 503, cause: { code: 'SQLITE_BUSY' } })
      let found: unknown
      store.get('id', (_, session) => {
        found = session
      })
      expect(found).toMatchObject({ a: 1 })
    }
    expect(performance.now() - begun).toBeLessThan(timeout) // five that wait for it all would take five times as long
    await unlock()
    await until('it saves again', () => store.set('other', {}).then(() => true))
    await store.close()
  })

  test('2000 saves wait without keeping the process busy, and all are done when it is free', async () => {
    const path = newFile()
    const store = new SqliteStore({ path, timeout: 20_000 })
    const { lock, unlock } = await locker(path)
    await lock()
    const saved = Promise.all(Array.from({ length: 2000 }, (_, n) => store.set(`id${n}`, { n })))
    await sleep(100) // each has tried once by now
    const begun = { time: performance.now(), cpu: process.cpuUsage() }
    await sleep(1000)
    const { user, system } = process.cpuUsage(begun.cpu)
    expect((user + system) / 1000 / (performance.now() - begun.time)).toBeLessThan(0.2)
    await unlock()
    await saved
    expect(await store.count()).toBe(2000)
    await store.close()
  })

  test('a given database that waits inside SQLite does so once for a lock, not once a save and try', async () => {
    const path = newFile()
    const wait = 200
    const database = new Database(path, { timeout: wait })
    database.pragma('journal_mode = WAL')
    const store = new SqliteStore({ database, timeout: 20_000 })
    const { lock, unlock } = await locker(path)
    await lock()
    const saves = 50
    const begun = performance.now()
    const saved = Promise.all(Array.from({ length: saves }, (_, n) => store.set(`id${n}`, { n })))
    for (let n = 0; n < 10; n += 1) await sleep(10)
    expect(performance.now() - begun).toBeLessThan((saves * wait) / 4)
    expect(database.pragma('busy_timeout', { simple: true })).toBe(wait)
    await unlock()
    await saved
    expect(await store.count()).toBe(saves)
    await store.close()
    database.close()
  })

  test('a log-out that was refused is not carried out later, and its error tells why and nothing else', async () => {
    const path = newFile()
    const store = new SqliteStore({ path, timeout: 500 })
    await store.set('secret id', { secret: 'content' })
    const { lock, unlock } = await locker(path)
    await lock()
    const error = await store.destroy('secret id').catch((reason: unknown) => reason)
    expect(error).toMatchObject({ statusCode: 503, cause: { code: 'SQLITE_BUSY' } })
    expect(inspect(error, { depth: 5, showHidden: true })).not.toMatch(/secret|content/)
    await unlock()
    await sleep(100)
    expect(await store.get('secret id')).toMatchObject({ secret: 'content' })
    await store.close()
  })
})

/** An application on a file, two users logged in to it, and a process that can lock the file. */
async function lockable(timeout: number, options: StoreOptions = {}) {
  const path = newFile()
  const app = buildApp(new SqliteStore({ path, timeout, ...options }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  onTestFinished(() => app.close())
  const browsers: [Browser, Browser] = [new Browser(app), new Browser(app)]
  await browsers[0].post('/login/ada')
  await browsers[1].post('/login/bob')
  return { browsers, ...(await locker(path)) }
}

async function locker(path: string) {
  const worker = startWorker('lock-worker.ts', path)
  await worker.expect('ready')
  const tell = async (order: string) => {
    worker.send(order)
    await worker.expect(`${order}ed`)
  }
  return { lock: () => tell('lock'), unlock: () => tell('unlock') }
}

async function contentsOf(path: string) {
  const store = new SqliteStore({ path })
  const found = await Promise.all(ids.map((id) => store.get(id)))
  await store.close()
  return found.map((session) => session && { n: session.n, text: session.text })
}

function startWorker(script: string, ...args: string[]): Worker {
  const worker = new Worker(script, ...args)
  onTestFinished(() => worker.kill())
  return worker
}
