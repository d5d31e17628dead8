import { newVersion, type SessionRecord } from '@session-stores/core'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { SqliteStore } from '../src/index.ts'
import { newFiles } from './folder.ts'

const newFile = newFiles('sqlite-store')

describe('when nobody is in the way', () => {
  test('every method calls back at once, as the plugin’s own store does', async () => {
    const store = new SqliteStore({ path: newFile() })
    const called: string[] = []
    const note = (name: string) => (error?: unknown) => {
      called.push(error ? `${name} failed: ${error}` : name)
    }
    let session: { a?: number } = {}
    store.set('id', { a: 1 }, note('set, new'))
    store.get('id', (error, found) => {
      note('get')(error)
      session = found
    })
    store.set('id', session, note('set, unchanged'))
    store.set('id', { ...session, a: 2 }, note('set, changed'))
    store.touch('id', session, note('touch'))
    store.destroy('id', note('destroy'))
    store.get('id', note('get, gone'))
    expect(called).toEqual(['set, new', 'get', 'set, unchanged', 'set, changed', 'touch', 'destroy', 'get, gone'])
    await store.close()
  })

  test('what a callback throws is not taken for the store’s failure', async () => {
    const store = new SqliteStore({ path: newFile() })
    let calls = 0
    expect(() =>
      store.get('id', () => {
        calls += 1
        throw new Error('of the callback')
      }),
    ).toThrow('of the callback')
    expect(calls).toBe(1)
    await store.close()
  })
})

describe('a replace that is sent again', () => {
  const record = (data: string): SessionRecord => ({ data, createdAt: 1, expiresAt: 8_640_000_000_000_000 })

  test("answers 'replaced' and changes nothing, not even what a touch did meanwhile", async () => {
    const { backend, close } = open()
    const [first, second] = [newVersion(), newVersion()]
    await backend.write('key', { ...record('{"a":1}'), expiresAt: 1000 }, first)
    const next = { ...record('{"a":2}'), expiresAt: 2000 }
    expect(await backend.replace('key', next, second, first)).toBe('replaced')
    await backend.touch('key', 3000, second)
    expect(await backend.replace('key', next, second, first)).toBe('replaced')
    expect(await backend.read('key')).toEqual({ record: { ...next, expiresAt: 3000 }, version: second })
    await close()
  })

  test("answers 'conflict' or 'missing' when somebody else was there in between", async () => {
    const { backend, close } = open()
    const [first, second, third] = [newVersion(), newVersion(), newVersion()]
    await backend.write('key', record('{"a":1}'), first)
    await backend.replace('key', record('{"a":2}'), second, first)
    await backend.replace('key', record('{"a":3}'), third, second)
    expect(await backend.replace('key', record('{"a":2}'), second, first)).toBe('conflict')
    expect(await backend.read('key')).toEqual({ record: record('{"a":3}'), version: third })
    await backend.remove('key')
    expect(await backend.replace('key', record('{"a":2}'), second, first)).toBe('missing')
    expect(await backend.read('key')).toBeUndefined()
    await close()
  })

  function open() {
    const store = new SqliteStore({ path: newFile(), pruneInterval: false })
    return { backend: store.backend, close: () => store.close() }
  }
})

describe('a fake clock of a test', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  test('holds for a store that was made before it, and ends for one that was made during it', async () => {
    const before = new SqliteStore({ path: newFile(), ttl: 60_000 })
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
    const during = new SqliteStore({ path: newFile(), ttl: 60_000 })
    for (const store of [before, during]) await store.set('id', { a: 1 })
    vi.setSystemTime(Date.now() + 59_999)
    expect(await before.get('id')).toMatchObject({ a: 1 })
    vi.setSystemTime(Date.now() + 1)
    expect(await before.get('id')).toBeNull()
    vi.useRealTimers()
    expect(await during.get('id')).toMatchObject({ a: 1 })
    for (const store of [before, during]) await store.close()
  })
})
