import { describe, expect, test } from 'vitest'
import { type Backend, MemoryStore, SessionStore } from '../src/index.ts'

describe('a wrong option is a TypeError that names it, what it wants and what it got', () => {
  const wrong: Array<[object, RegExp]> = [
    [{ ttl: 0 }, /^ttl must be a whole number of ms from 1 to \d+; got 0$/],
    [{ ttl: '1d' }, /^ttl must be .*; got a string$/],
    [{ ttl: Number.POSITIVE_INFINITY }, /^ttl must be .*; got Infinity$/],
    [{ ttl: null }, /^ttl must be .*; got null$/],
    [{ absoluteTimeout: true }, /^absoluteTimeout must be .*, or false; got true$/],
    [{ absoluteTimeout: 0 }, /^absoluteTimeout must be .*; got 0$/],
    [{ touchInterval: -1 }, /^touchInterval must be .* from 0 .*; got -1$/],
    [{ maxBytes: 1.5 }, /^maxBytes must be a whole number of bytes .*; got 1.5$/],
    [{ timeout: 2 ** 31 }, /^timeout must be .* to 2147483647; got 2147483648$/],
    [{ pruneInterval: 0 }, /^pruneInterval must be .*, or false; got 0$/],
    [{ onConflict: 'ours' }, /^onConflict must be 'merge', 'overwrite' or a function .*; got a string$/],
    [{ onConflict: null }, /^onConflict must be .*; got null$/],
    [{ serializer: { stringify() {} } }, /^serializer must be an object with the functions stringify and parse; got/],
    [{ serializer: null }, /^serializer must be .*; got null$/],
    [{ now: 5 }, /^now must be a function .*; got 5$/],
    [{ now: null }, /^now must be a function .*; got null$/],
    [{ now: () => undefined }, /^now must be a function that answers ms since the epoch; got a function$/],
    [{ tll: 5 }, /^unknown option 'tll': there are ttl, /],
  ]
  for (const [options, message] of wrong) {
    test(Object.entries(options).join(), () => {
      expect(() => new MemoryStore(options)).toThrow(TypeError)
      expect(() => new MemoryStore(options)).toThrow(message)
    })
  }

  test('no object at all', () => {
    expect(() => new MemoryStore('redis://localhost' as never)).toThrow(/^options must be an object; got a string$/)
  })

  test('a backend without one of the five verbs', () => {
    const { touch, ...rest } = { name: 'half', read() {}, write() {}, replace() {}, touch() {}, remove() {} }
    expect(() => new SessionStore(rest as unknown as Backend)).toThrow(/the backend must have the method touch/)
    expect(() => new SessionStore(undefined as never)).toThrow(/the backend must have the method read/)
  })
})

test('the caller’s options stay as they are, and undefined means the default', () => {
  const options = Object.freeze({ ttl: undefined, pruneInterval: false as const }) as object
  expect(() => new MemoryStore(options)).not.toThrow()
  expect(options).toEqual({ ttl: undefined, pruneInterval: false })
})

test('a wrong argument is a TypeError', async () => {
  const store = new MemoryStore()
  await expect(store.get('')).rejects.toThrow(/the session id must be a non-empty string/)
  await expect(store.set('id', undefined as never)).rejects.toThrow(/the session must be an object/)
  expect(() => store.get('id', 'callback' as never)).toThrow(/the callback must be a function/)
})
