import { until } from '@session-stores/testing'
import type { MemcachedServer } from '@session-stores/testing/memcached'
import { describe, expect, test, vi } from 'vitest'
import { exptimeFor } from '../src/expiry.ts'
import { itemKey, keyOf, noMemcached, recordsOf, testServer, testStore } from './setup.ts'

const SECOND = 1000
const DAY = 24 * 60 * 60 * SECOND

describe('the time at which the server may collect a record', () => {
  const now = Date.now()
  const inSeconds = (ms: number) => exptimeFor(now + ms, now)
  const date = (exptime: number) => exptime * SECOND - now

  test.each([-DAY, -1, 0, 1, 999, 1000, 1001, 1500, 60 * SECOND, DAY, 29 * DAY])('%d ms from now, in seconds', (ms) => {
    const seconds = inSeconds(ms)
    expect(Number.isInteger(seconds)).toBe(true)
    expect(seconds * SECOND, 'never early, whenever the server’s seconds begin').toBeGreaterThan(ms + SECOND)
    expect(seconds * SECOND).toBeLessThanOrEqual(Math.max(ms, 0) + 3 * SECOND)
    expect(seconds).toBeGreaterThan(0)
  })

  test.each([30 * DAY, 30 * DAY + 1, 45 * DAY, 3650 * DAY])('%d ms from now, as a date', (ms) => {
    const exptime = inSeconds(ms)
    expect(exptime, 'a number of more than 30 days is a date').toBeGreaterThan((30 * DAY) / SECOND)
    expect(date(exptime)).toBeGreaterThanOrEqual(ms)
    expect(date(exptime)).toBeLessThan(ms + 2 * 60 * 60 * SECOND)
  })

  test.each([Date.UTC(2106, 1, 8), Date.UTC(2200, 0, 1), 8.64e15])('%d is past what 32 bits hold', (expiresAt) => {
    expect(exptimeFor(expiresAt, now)).toBe(2 ** 32 - 1)
  })
})

describe.skipIf(noMemcached)('on a real server', () => {
  test('a session of 1.5 s is there up to its last millisecond, and then is not', async () => {
    const store = testStore([await testServer()])
    const sessions = Array.from({ length: 8 }, async (_, n) => {
      // At different parts of the server's seconds.
      await sleep(n * 125)
      const begun = Date.now()
      await store.set(`id${n}`, { cookie: { expires: new Date(begun + 1500), originalMaxAge: 1500 } })
      let [lastSeen, firstMissed] = [0, 0]
      while (Date.now() < begun + 1700) {
        const before = Date.now() - begun
        const found = await store.get(`id${n}`)
        const after = Date.now() - begun
        if (found) lastSeen = before
        else firstMissed ||= after
        if (after < 1500) expect(found, `after ${after} ms`).not.toBeNull()
        if (before >= 1500) expect(found, `after ${before} ms`).toBeNull()
        await sleep(3)
      }
      return { lastSeen, firstMissed }
    })
    const seen = await Promise.all(sessions)
    // Of eight, the machine let us look at one at least in good time.
    expect(Math.max(...seen.map(({ lastSeen }) => lastSeen))).toBeGreaterThanOrEqual(1400)
    expect(Math.min(...seen.map(({ firstMissed }) => firstMissed))).toBeLessThan(1600)
  })

  test('sessions that end after 45 days and in the year 2200 are there now, and none is there for ever', async () => {
    const server = await testServer()
    const store = testStore([server])
    const now = Date.now()
    const ends = {
      tiny: now + 50_000,
      month: now + 30 * DAY,
      long: now + 45 * DAY,
      lastOf32Bits: Date.UTC(2106, 1, 7),
      year2200: Date.UTC(2200, 0, 1),
      endless: 8.64e15,
    }
    for (const [id, end] of Object.entries(ends)) {
      await store.set(id, { cookie: { expires: new Date(end), originalMaxAge: null } })
      expect((await store.get(id))?.cookie.expires.getTime()).toBe(end)
      const seconds = await secondsLeft(server, id)
      expect(seconds, id).toBeGreaterThan(0)
      const capped = Math.min(end, (2 ** 32 - 1) * SECOND) - now
      expect(seconds, id).toBeGreaterThanOrEqual(Math.floor(capped / SECOND) - 60)
      expect(seconds, id).toBeLessThanOrEqual(capped / SECOND + 2 * 60 * 60)
    }
  })

  test('no write, replace or touch makes a session permanent, however little of it is left', async () => {
    const server = await testServer()
    const records = recordsOf(testStore([server]))
    for (const left of [-1000, 0, 1, 499, 999, 1000]) {
      const now = Date.now()
      const record = { data: '{}', createdAt: now, expiresAt: now + left }
      const version = await records.write(keyOf('id'), record)
      const seconds = async () => {
        const left = await secondsLeft(server, 'id')
        expect(left).toBeGreaterThanOrEqual(0)
        expect(left).toBeLessThanOrEqual(4)
      }
      await seconds()
      await records.replace(keyOf('id'), { ...record, data: '{"a":1}' }, version)
      await seconds()
      const stored = await records.read(keyOf('id'))
      await records.touch(keyOf('id'), record.expiresAt + 1, stored?.version ?? '')
      await seconds()
    }
    await until(
      'the server collects it',
      async () => (await server.ask(`mg ${await itemKey(server, 'id')}`)) === 'EN\r\n',
    )
  })

  test('a store that was made while the clock was a fake goes by the real one afterwards', async () => {
    const server = await testServer()
    vi.useFakeTimers({ now: Date.now() - 400 * DAY, toFake: ['Date'] })
    const store = testStore([server])
    vi.useRealTimers()
    for (const ms of [500 * SECOND, 45 * DAY]) {
      const end = Date.now() + ms
      await store.set('id', { cookie: { expires: new Date(end), originalMaxAge: ms } })
      expect((await store.get('id'))?.cookie.expires.getTime()).toBe(end)
      const early = (await secondsLeft(server, 'id')) * SECOND - ms
      expect(early).toBeGreaterThan(-10 * SECOND)
      expect(early).toBeLessThan(2 * 60 * 60 * SECOND)
    }
  })

  test('a touch moves the expiry on the server too', async () => {
    const server = await testServer()
    let now = Date.now()
    const store = testStore([server], { now: () => now, touchInterval: 0 })
    await store.set('id', { cookie: { expires: new Date(now + 5 * SECOND), originalMaxAge: 5 * SECOND } })
    const session = await store.get('id')
    now += 10
    session.cookie.expires = new Date(now + 500 * SECOND)
    await store.set('id', session)
    expect(await secondsLeft(server, 'id')).toBeGreaterThan(490)
  })
})

async function secondsLeft(server: MemcachedServer, sessionId: string): Promise<number> {
  return server.secondsLeft(await itemKey(server, sessionId))
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
