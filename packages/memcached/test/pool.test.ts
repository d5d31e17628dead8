import { hash } from 'node:crypto'
import type { MemcachedServer } from '@session-stores/testing/memcached'
import { Client } from 'memjs'
import { describe, expect, test } from 'vitest'
import { MemcachedStore } from '../src/index.ts'
import { ringOf } from '../src/ring.ts'
import { freshPrefix, itemKey, keyOf, noMemcached, patientStore, testClient, unavailable, useServers } from './setup.ts'

const keys = Array.from({ length: 20_000 }, (_, n) => hash('sha256', `${n}`, 'base64url'))

/** The name of the server for each key. */
function spread(names: string[]): string[] {
  const place = ringOf(names)
  return keys.map((key) => names[place(key)] as string)
}

function share<T>(items: T[], is: (item: T, n: number) => boolean): number {
  return items.filter(is).length / items.length
}

describe('the ring', () => {
  test.each([2, 3, 5, 10, 20])('shares the keys among %d servers', (n) => {
    const names = Array.from({ length: n }, (_, each) => `10.0.0.${each}:11211`)
    const where = spread(names)
    for (const name of names) {
      const part = share(where, (each) => each === name)
      expect(part).toBeGreaterThan(0.7 / n)
      expect(part).toBeLessThan(1.35 / n)
    }
  })

  test.each([1, 2, 3, 9])('with one server more than %d, about one key in n + 1 moves, all to the new one', (n) => {
    const names = Array.from({ length: n }, (_, each) => `cache-${each}:11211`)
    const before = spread(names)
    const after = spread([...names, 'cache-new:11211'])
    const moved = share(after, (each, key) => each !== before[key])
    expect(moved).toBeGreaterThan(0.7 / (n + 1))
    expect(moved).toBeLessThan(1.35 / (n + 1))
    for (const [key, name] of after.entries()) if (name !== before[key]) expect(name).toBe('cache-new:11211')
  })

  test.each([2, 3, 10])('without one of %d, only the keys of that one move', (n) => {
    const names = Array.from({ length: n }, (_, each) => `cache-${each}:11211`)
    const before = spread(names)
    const after = spread(names.slice(1))
    for (const [key, name] of after.entries()) if (before[key] !== names[0]) expect(name).toBe(before[key])
    expect(share(before, (name) => name === names[0])).toBeLessThan(1.35 / n)
  })

  test.each([
    ['', ['a:1', 'b:1', 'c:1', 'd:1']],
    [', where two servers have a point in common', ['cache112:11211', 'cache216:11211']],
  ])('does not depend on the order of the list%s', (_, names) => {
    expect(spread([...names].reverse())).toEqual(spread(names))
  })
})

describe.skipIf(noMemcached)('a pool of real servers', () => {
  const servers = useServers(4)
  const ids = Array.from({ length: 1200 }, (_, n) => `id${n}`)
  const found = async (store: MemcachedStore) =>
    share(await Promise.all(ids.map((id) => store.get(id))), (session) => session !== null)

  test('that grows from three to four keeps about three quarters of the sessions', async () => {
    const prefix = freshPrefix()
    const before = patientStore(servers().slice(0, 3), { prefix })
    await Promise.all(ids.map((id) => before.set(id, { id })))
    const after = await found(patientStore(servers(), { prefix }))
    expect(after).toBeGreaterThan(0.66)
    expect(after).toBeLessThan(0.84)
    expect(await found(before)).toBe(1)
  })

  test('that shrinks from three to two keeps about two thirds', async () => {
    const prefix = freshPrefix()
    const before = patientStore(servers().slice(0, 3), { prefix })
    await Promise.all(ids.map((id) => before.set(id, { id })))
    const after = await found(patientStore(servers().slice(0, 2), { prefix }))
    expect(after).toBeGreaterThan(0.56)
    expect(after).toBeLessThan(0.77)
  })

  test('given in another order is the same pool', async () => {
    const prefix = freshPrefix()
    const store = patientStore(servers(), { prefix })
    await Promise.all(ids.map((id) => store.set(id, { id })))
    expect(await found(patientStore([...servers()].reverse(), { prefix }))).toBe(1)
    for (const server of servers()) {
      const own = (await server.keys()).filter((key) => key.startsWith(prefix)).length
      expect(own, 'sessions on one of four').toBeGreaterThan(ids.length / 8)
    }
  })

  describe('an application may choose the server itself, by a getServer of its own', () => {
    const choose = (key: string) => (key === keyOf('id') ? 3 : 2) as unknown as string
    class Chooser extends Client {
      override getServer(key: string): string {
        return choose(key)
      }
    }

    test.each([
      ['on the client', () => Object.assign(testClient(servers()), { getServer: choose })],
      ['in a class', () => new Chooser(testClient(servers()).servers, {})],
    ])('%s', async (_, makeClient) => {
      const prefix = freshPrefix()
      const store = new MemcachedStore({ client: makeClient(), prefix })
      await store.set('id', { a: 1 })
      const [, , third, fourth] = servers() as [unknown, unknown, MemcachedServer, MemcachedServer]
      expect(await fourth.ask(`get ${await itemKey(fourth, 'id', prefix)}`)).toMatch(/^VALUE/)
      await store.set('other', { a: 1 })
      expect(await third.ask(`get ${await itemKey(third, 'other', prefix)}`)).toMatch(/^VALUE/)
    })

    test.each([4, -1, undefined, '127.0.0.1:11211'])('%o is none: an error that says so', async (answer) => {
      const client = Object.assign(testClient(servers()), { getServer: () => answer })
      await expect(new MemcachedStore({ client: client as never }).get('id')).rejects.toMatchObject({
        ...unavailable,
        cause: { message: expect.stringMatching(/^client.getServer must answer the place of a server, 0 to 3; got /) },
      })
    })
  })

  test('the application’s own use of the client stays as memjs does it', async () => {
    const client = testClient(servers())
    const own = { ...client.options }
    const store = new MemcachedStore({ client, prefix: freshPrefix() })
    await store.set('id', { a: 1 })
    expect(client.options).toEqual(own)
    expect(Object.keys(client).sort()).toEqual(['options', 'seq', 'serializer', 'servers'])
    expect(client.seq).toBe(0)
  })
})
