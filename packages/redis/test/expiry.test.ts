import { hash } from 'node:crypto'
import { newVersion, type SessionRecord } from '@session-stores/core'
import { RedisServer } from '@session-stores/testing/redis'
import { afterAll, describe, expect, test } from 'vitest'
import { RedisStore } from '../src/index.ts'
import { freshPrefix, ioredis } from './drivers.ts'
import { key, replace, write } from './records.ts'

const MINUTE = 60_000

const server = await RedisServer.start()
afterAll(() => server.stop())
const client = ioredis.redis(server)

/** A store of a process whose clock differs from the server's by `skew` ms. */
function makeStore(prefix = freshPrefix(), skew = 0) {
  const now = () => Date.now() + skew
  return { prefix, now, store: new RedisStore({ client, prefix, now }) }
}

/** When the server will collect the key, in ms since the epoch on the server's own clock, as exactly as can be told. */
async function collectedAt(prefix: string): Promise<number> {
  const [[, at], [, exists]] = (await client
    .multi()
    .pexpiretime(prefix + key)
    .exists(prefix + key)
    .exec()) as [[null, number], [null, number]]
  expect(exists).toBe(1)
  return at
}

function record(expiresAt: number): SessionRecord {
  return { data: '{"a":1}', createdAt: expiresAt - MINUTE, expiresAt }
}

describe('a key is never collected while its session lives', () => {
  const skews = [-5 * MINUTE, 0, 5 * MINUTE]
  for (const writes of skews) {
    for (const reads of skews) {
      test(`written by a clock ${writes / MINUTE} minutes ahead of the server, read by one ${reads / MINUTE} ahead`, async () => {
        const { prefix, now, store } = makeStore(freshPrefix(), writes)
        const { backend } = store
        // What the reading process sees on its clock when the server collects the key
        const seenAt = async () => (await collectedAt(prefix)) + reads

        const expiresAt = now() + 1000
        const version = await write(backend, record(expiresAt))
        expect(await seenAt(), 'after a write').toBeGreaterThanOrEqual(expiresAt)

        await backend.touch(key, expiresAt + 2000, version)
        expect(await seenAt(), 'after a touch').toBeGreaterThanOrEqual(expiresAt + 2000)

        await replace(backend, record(expiresAt + 1000), version)
        expect(await seenAt(), 'after a replacement').toBeGreaterThanOrEqual(expiresAt + 1000)
        expect(await seenAt(), 'and it is collected in the end').toBeLessThanOrEqual(expiresAt + 21 * MINUTE)
      })
    }
  }

  test('a touch by a fast clock does not shorten what a slow clock promised', async () => {
    const prefix = freshPrefix()
    const slow = makeStore(prefix, -5 * MINUTE)
    const fast = makeStore(prefix, 5 * MINUTE)
    const expiresAt = Date.now() + 60 * MINUTE
    const version = await write(slow.store.backend, record(expiresAt))
    const before = await collectedAt(prefix)
    expect(await fast.store.backend.touch(key, expiresAt + 1, version)).toBe(true)
    expect(await collectedAt(prefix)).toBe(before)
  })

  test('a session in use keeps its key: through the store, seen on the server', async () => {
    const { prefix, store } = makeStore()
    const ttl = async () => Number(await server.cli('PTTL', prefix + hash('sha256', 'id', 'base64url')))
    const end = new Date(Date.now() + MINUTE)
    await store.set('id', { cookie: { expires: end, originalMaxAge: MINUTE } })
    expect(await ttl()).toBeGreaterThan(end.getTime() - Date.now())
    const session = await store.get('id')
    session.cookie.expires = new Date(end.getTime() + 60 * MINUTE)
    await store.set('id', session)
    expect(await ttl()).toBeGreaterThan(end.getTime() + 60 * MINUTE - Date.now())
  })
})

test('the server collects the key of a session that ended: nothing is left behind', async () => {
  const { prefix, now, store } = makeStore()
  await write(store.backend, record(now() - 10 * MINUTE + 200))
  await expect.poll(() => server.cli('EXISTS', prefix + key)).toBe('0')
  const version = await write(store.backend, record(now() - 60 * MINUTE))
  await expect.poll(() => server.cli('EXISTS', prefix + key)).toBe('0')
  expect(await store.backend.touch(key, now() + MINUTE, version)).toBe(false)
})

test('the last moment that a Date can hold is no problem for the server', async () => {
  const { prefix, now, store } = makeStore()
  const last = 8.64e15
  const version = await write(store.backend, record(now() + MINUTE))
  await store.backend.touch(key, last, version)
  expect(await collectedAt(prefix)).toBeGreaterThanOrEqual(last)
  await replace(store.backend, record(last), version)
  await write(store.backend, record(last))
  expect(await collectedAt(prefix)).toBeGreaterThanOrEqual(last)
  expect(await store.backend.read(key)).toMatchObject({ record: { expiresAt: last } })
})

test('a touch sends the expiry, not the session', async () => {
  const { now, store } = makeStore()
  const large = { ...record(now() + MINUTE), data: `"${'x'.repeat(60_000)}"` }
  const version = await write(store.backend, large)
  await store.backend.touch(key, now() + 2 * MINUTE, version) // the script is known from now on
  const bytesIn = async () => Number(/total_net_input_bytes:(\d+)/.exec(await client.info('stats'))?.[1])
  const before = await bytesIn()
  expect(await store.backend.touch(key, now() + 3 * MINUTE, version)).toBe(true)
  expect((await bytesIn()) - before).toBeLessThan(500)
})

describe('what is at rest', () => {
  test('is a string that redis-cli shows: a header line, then the session', async () => {
    const { prefix, store } = makeStore()
    const createdAt = Date.UTC(2026, 0, 1)
    const expiresAt = Date.UTC(2100, 0, 1)
    const version = await write(store.backend, { data: '{"cart":[1,2]}', createdAt, expiresAt, userId: 'ada l' })
    expect(await client.get(prefix + key)).toBe(`1 0004102444800000 ${version} 1767225600000 "ada l"\n{"cart":[1,2]}`)
  })

  test('may be older or newer than 1970, and belong to anybody', async () => {
    const { store } = makeStore()
    for (const userId of ['', ' ', '\n', '"', 'a\nb \u2028', '\ud800', '漢 🙂']) {
      for (const expiresAt of [Date.now() + 1, 8.64e15]) {
        const given = { data: 'text\nof\nlines', createdAt: -1, expiresAt, userId }
        await write(store.backend, given)
        expect(await store.backend.read(key)).toMatchObject({ record: given })
      }
    }
  })

  test('in the layout of a later release is a clear error, and stays as it is', async () => {
    const { prefix, store } = makeStore()
    const name = prefix + hash('sha256', 'id', 'base64url')
    await store.set('id', { a: 1 })
    const loaded = await store.get('id')
    const value = `2 8640000000000000 ${newVersion()} anything`
    await client.set(name, value)
    const unknown = { code: 'SESSION_LAYOUT_UNKNOWN', statusCode: 503 }
    await expect(store.get('id')).rejects.toMatchObject(unknown)
    await expect(store.set('id', { ...loaded, a: 2 })).rejects.toMatchObject(unknown)
    await expect(store.scan().next()).rejects.toMatchObject(unknown)
    expect(await client.get(name)).toBe(value)
  })

  test('in a layout that nobody knows is no session, and stays as it is', async () => {
    const { prefix, now, store } = makeStore()
    const name = prefix + hash('sha256', 'id', 'base64url')
    await store.set('id', { a: 1 })
    const loaded = await store.get('id')
    const version = newVersion()
    for (const value of [
      ...['2 1767830400000 {}', '{"a":1}', '', 'x', `1 ${now()} no line feed`, '\n{}', '1  \n{}'],
      ...[`1 ${now()} ${version} 1\n{}`, `1 00000000000000${now()} ${version} 1\n{}`], // not 16 characters
      ...['ada', '7', 'null', '"ada', '"ada"a"', '"\\"'].map((user) => `1 8640000000000000 ${version} 1 ${user}\n{}`),
    ]) {
      await client.set(name, value)
      expect(await store.get('id'), value).toBeNull()
      for await (const session of store.scan()) expect.unreachable(`${value} was listed as ${session.handle}`)
      await store.set('id', { ...loaded, a: 2 })
      await store.touch('id', { ...loaded, cookie: { expires: new Date(now() + 9 * MINUTE), originalMaxAge: MINUTE } })
      const backendKey = hash('sha256', 'id', 'base64url')
      expect(await store.backend.replace(backendKey, record(now()), newVersion(), newVersion())).toBe('conflict')
      expect(await client.get(name)).toBe(value)
    }
    expect(await store.count()).toBe(1)
    await store.destroy('id')
    expect(await client.exists(name)).toBe(0)
  })
})
