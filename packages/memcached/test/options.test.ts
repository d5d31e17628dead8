import { newVersion } from '@session-stores/core'
import { Client } from 'memjs'
import { describe, expect, test } from 'vitest'
import { MemcachedStore } from '../src/index.ts'
import { itemKey, keyOf, noMemcached, recordOf, testServer, testStore, unavailable } from './setup.ts'

const client = Client.create('127.0.0.1:1')

describe('a wrong option is named at once', () => {
  test.each([
    [undefined, /options must be an object; got undefined/],
    ['memcached://ada:pass@host', /options must be an object; got a string$/],
    [{}, /client must be a client of memjs/],
    [{ client: {} }, /client must be a client of memjs/],
    [{ client: Client }, /client must be a client of memjs/],
    [{ client: { servers: [], getServer() {} } }, /client must be a client of memjs/],
    [{ client: { servers: ['a:1'], getServer() {} } }, /client must be a client of memjs/],
    [{ client: Client.create('memcached://127.0.0.1:11211') }, /client has a server without a valid port/],
    [{ client: Client.create('127.0.0.1:99999') }, /client has a server without a valid port/],
    [{ client: Client.create('127.0.0.1:1', { failover: true }) }, /without failover/],
    [{ client, prefix: 5 }, /prefix must be printable ASCII.*got 5/],
    [{ client, prefix: 'a b' }, /prefix must be printable ASCII.*got a string/],
    [{ client, prefix: 'é' }, /prefix must be printable ASCII/],
    [{ client, prefix: 'x'.repeat(129) }, /1 to 128 characters/],
    [{ client, prefix: '' }, /1 to 128 characters; got an empty string/],
    [{ client, ttl: '1d' }, /ttl must be/],
    [{ client, timeout: 0 }, /timeout must be/],
    [{ client, tll: 5 }, /unknown option 'tll': there are client, prefix, ttl, /],
  ])('%o', (options, message) => {
    expect(() => new MemcachedStore(options as never)).toThrow(TypeError)
    expect(() => new MemcachedStore(options as never)).toThrow(message)
  })

  test.each([
    ['servers', ['127.0.0.1:11211'], 'client, from Client.create(servers, options)'],
    ['username', 'ada', 'client, from Client.create(servers, options)'],
    ['password', 'secret', 'client, from Client.create(servers, options)'],
    ['retries', 2, 'client, from Client.create(servers, options)'],
    ['expires', 5, 'ttl, in ms'],
    ['failover', true, 'never done: a session lives on one server'],
    ['logger', console, 'the diagnostics channels'],
    ['debug', true, 'the diagnostics channels'],
  ])('an option of connect-memjs is told by its name here: %s', (name, value, ours) => {
    const attempt = () => new MemcachedStore({ client, [name]: value } as never)
    expect(attempt).toThrow(`unknown option '${name}': here it is ${ours}`)
  })

  test('the options themselves are left alone', () => {
    const options = Object.freeze({ client, prefix: 'p:', ttl: 1000 })
    new MemcachedStore(options)
  })

  test('before anything is opened, and the client is as it was', () => {
    const clientOf = () => Client.create('127.0.0.1:1')
    const given = clientOf()
    expect(() => new MemcachedStore({ client: given, ttl: -1 })).toThrow(/ttl must be/)
    expect(given).toEqual(clientOf())
    for (const [n, server] of given.servers.entries()) {
      expect(Object.getOwnPropertyNames(server)).toEqual(Object.getOwnPropertyNames(clientOf().servers[n]))
    }
  })

  test('with its kind alone, for it may hold a password', () => {
    for (const client of ['memcached://ada:secret@host', { password: 'secret' }, ['secret']]) {
      const attempt = () => new MemcachedStore({ client } as never)
      expect(attempt).toThrow(/client must be a client of memjs/)
      expect(attempt).not.toThrow(/secret/)
    }
  })
})

describe('what Memcached cannot do', () => {
  const store = new MemcachedStore({ client }) // nothing listens there: an attempt would be a 503

  test.each([
    ['count', () => store.count()],
    ['scan', () => store.scan().next()],
  ])('%s() says so before any I/O', async (_, attempt) => {
    await expect(attempt()).rejects.toMatchObject({
      code: 'SESSION_UNSUPPORTED',
      statusCode: 501,
      message: expect.stringContaining('the memcached session store cannot'),
    })
  })

  test('there is nothing to prune', async () => {
    expect(await store.prune()).toBe(0)
  })
})

describe.skipIf(noMemcached)('on a real server', () => {
  test('a server without compare-and-swap (-C) is an error that says what to do', async () => {
    const store = testStore([await testServer('-C')])
    await expect(store.set('id', { a: 1 })).rejects.toMatchObject({
      ...unavailable,
      cause: { message: expect.stringContaining('without the option -C') },
    })
  })

  test('stores with different prefixes share a server, the same prefix shares sessions', async () => {
    const server = await testServer()
    const [a, b] = [testStore([server], { prefix: 'a:' }), testStore([server], { prefix: 'b:' })]
    await a.set('id', { a: 1 })
    expect(await b.get('id')).toBeNull()
    expect(await testStore([server], { prefix: 'a:' }).get('id')).toMatchObject({ a: 1 })
    await testStore([server], { prefix: 'a' }).set('id', { a: 2 })
    expect(await a.get('id')).toMatchObject({ a: 1 })
  })

  test('a value of an unknown format is no session, unreadable, and kept; a session under another id works', async () => {
    const server = await testServer()
    const store = testStore([server])
    await store.set('id', { a: 1 })
    const session = await store.get('id')
    const key = await itemKey(server, 'id')
    for (const value of ['', 'x', '\u0002 of a later release, and long enough to have a head']) {
      await server.ask(`set ${key} 0 0 ${value.length}\r\n${value}`)
      expect(await store.get('id')).toBeNull()
      expect(await store.backend.read(keyOf('id'))).toBe('unreadable')
      expect(await store.backend.replace(keyOf('id'), recordOf('{}'), newVersion(), newVersion())).toBe('conflict')
      expect(await store.backend.touch(keyOf('id'), Date.now(), newVersion())).toBe(false)
      await store.set('id', { ...session, a: 2 })
      expect(await store.get('id')).toBeNull()
      expect(await server.ask(`get ${key}`)).toContain(`\r\n${value}\r\n`)
    }
    await store.set('id2', { a: 1 })
    expect(await store.get('id2')).toMatchObject({ a: 1 })
  })

  test('a session in the layout of another release is a 503, and kept; it can be overwritten', async () => {
    const server = await testServer()
    const store = testStore([server])
    await store.set('id', { a: 1 })
    const key = await itemKey(server, 'id')
    const stored = /\r\n(1 .*)\r\nEND/s.exec(await server.ask(`get ${key}`))?.[1] ?? ''
    const value = stored.replace('1', '2')
    await server.ask(`set ${key} 0 0 ${value.length}\r\n${value}`)
    await expect(store.get('id')).rejects.toMatchObject({ code: 'SESSION_LAYOUT_UNKNOWN', statusCode: 503 })
    expect(await server.ask(`get ${key}`)).toContain(value)
    await store.backend.write(keyOf('id'), recordOf('{"a":2}'), newVersion())
    expect(await store.get('id')).toMatchObject({ a: 2 })
  })
})
