import { createSecretKey, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { MemoryStore, newVersion, SessionStore, type StoredRecord, type StoreOptions } from '../src/index.ts'

const [oldKey, newKey] = [randomBytes(32), randomBytes(32)]
const SECRET = 'what nobody may read'

function setUp(options: StoreOptions = {}) {
  const plain = new MemoryStore({ pruneInterval: false })
  const open = (more: StoreOptions = {}) =>
    new SessionStore(plain.backend, { pruneInterval: false, encryptionKeys: [oldKey], ...options, ...more })
  const atRest = async (id: string) => (await plain.backend.read(plain.handleOf(id))) as StoredRecord
  /** Stores another text in place of the sealed one. */
  const tamper = async (id: string, change: (text: string) => string) => {
    const { record } = await atRest(id)
    await plain.backend.write(plain.handleOf(id), { ...record, data: change(record.data) }, newVersion())
  }
  return { plain, store: open(), open, atRest, tamper }
}

test('what a session holds is not at rest, and comes back', async () => {
  const { store, atRest } = setUp({ userOf: (session) => session.user })
  await store.set('id', { secret: SECRET, user: 'ada' })
  const { record } = await atRest('id')
  expect(record.data).not.toMatch(/nobody|secret/)
  expect(record.userId, 'the user id stays readable').toBe('ada')
  expect(await store.get('id')).toMatchObject({ secret: SECRET })
  expect((await store.scan().next()).value).toMatchObject({ session: { secret: SECRET } })
  expect(await store.listByUser('ada')).toMatchObject([{ session: { secret: SECRET } }])
})

test('an unchanged session costs no write, though sealing it again would give another text', async () => {
  const { store, atRest } = setUp()
  await store.set('id', { secret: SECRET })
  const before = await atRest('id')
  await store.set('id', await store.get('id'))
  expect(await atRest('id')).toEqual(before)
  await store.set('same', { secret: SECRET })
  expect((await atRest('same')).record.data).not.toBe(before.record.data)
})

test('two requests that change different keys both keep theirs', async () => {
  const { store } = setUp()
  await store.set('id', {})
  const [a, b] = [await store.get('id'), await store.get('id')]
  await store.set('id', { ...a, a: 1 })
  await store.set('id', { ...b, b: 1 })
  expect(await store.get('id')).toMatchObject({ a: 1, b: 1 })
})

test('maxBytes counts what the application stores', async () => {
  const { store } = setUp({ maxBytes: 100 })
  await store.set('id', { text: 'x'.repeat(80) })
  await expect(store.set('id', { text: 'x'.repeat(100) })).rejects.toMatchObject({ code: 'SESSION_TOO_LARGE' })
})

describe('what was not sealed by one of the keys, for this session, is no session and is kept', () => {
  const flip = (text: string, at: number) => {
    const other = text.at(at) === 'A' ? 'B' : 'A'
    const n = at < 0 ? text.length + at : at
    return text.slice(0, n) + other + text.slice(n + 1)
  }
  const changes: Record<string, (text: string) => string> = {
    'a changed nonce': (text) => flip(text, text.lastIndexOf('.') + 1),
    'a changed byte of the data': (text) => flip(text, text.lastIndexOf('.') + 20),
    'a changed tag': (text) => flip(text, -4),
    'another key’s hint': (text) => text.replace(/^sealed\.1\.[\w-]+/, 'sealed.1.AAAAAAAA'),
    'a text cut short': (text) => text.slice(0, 30),
    'plain text': () => `{"secret":"planted"}`,
  }
  for (const [what, change] of Object.entries(changes)) {
    test(what, async () => {
      const { store, atRest, tamper } = setUp()
      await store.set('id', { secret: SECRET })
      const sound = await atRest('id')
      await tamper('id', change)
      expect(await store.get('id')).toBeNull()
      expect((await atRest('id')).record.data, 'it is kept').toBe(change(sound.record.data))
    })
  }

  test('… but one of another release’s layout is a 503', async () => {
    const { store, tamper } = setUp()
    await store.set('id', { secret: SECRET })
    await tamper('id', (text) => text.replace('sealed.1', 'sealed.2'))
    await expect(store.get('id')).rejects.toMatchObject({ code: 'SESSION_LAYOUT_UNKNOWN', statusCode: 503 })
  })

  test('another session’s text', async () => {
    const { store, atRest, tamper } = setUp()
    await store.set('mine', { user: 'eve' })
    await store.set('admin', { user: 'admin' })
    const { record } = await atRest('admin')
    await tamper('mine', () => record.data)
    expect(await store.get('mine')).toBeNull()
    expect(await store.get('admin')).toMatchObject({ user: 'admin' })
  })
})

describe('keys', () => {
  test('are changed by putting a new one in front: the old one opens, and the next write seals with the new one', async () => {
    const { store, open } = setUp()
    await store.set('id', { a: 1 })
    const both = open({ encryptionKeys: [newKey, oldKey] })
    const session = await both.get('id')
    await both.set('id', session)
    expect(await store.get('id'), 'unchanged, so not sealed again').toMatchObject({ a: 1 })
    await both.set('id', { ...(await both.get('id')), a: 2 })
    expect(await open({ encryptionKeys: [newKey] }).get('id')).toMatchObject({ a: 2 })
    expect(await store.get('id'), 'the old key alone opens it no more').toBeNull()
  })

  test('two processes with different newest keys, each knowing both, share sessions', async () => {
    const { open } = setUp()
    const [one, other] = [open({ encryptionKeys: [newKey, oldKey] }), open({ encryptionKeys: [oldKey, newKey] })]
    await one.set('id', {})
    const [a, b] = [await one.get('id'), await other.get('id')]
    await one.set('id', { ...a, a: 1 })
    await other.set('id', { ...b, b: 1 })
    expect(await one.get('id')).toMatchObject({ a: 1, b: 1 })
  })

  test('may be bytes, text or a KeyObject: all forms of one key are the same', async () => {
    const { store, open } = setUp()
    await store.set('id', { a: 1 })
    for (const form of [
      new Uint8Array(oldKey),
      oldKey.toString('base64'),
      `${oldKey.toString('base64')}\n`,
      oldKey.toString('base64url'),
      oldKey.toString('hex'),
      createSecretKey(oldKey),
    ]) {
      expect(await open({ encryptionKeys: [form] }).get('id')).toMatchObject({ a: 1 })
    }
  })

  test('of the wrong kind are refused with the way to make one, and are not shown', () => {
    for (const wrong of [
      [],
      'text',
      [''],
      ['a-short-secret'],
      [randomBytes(16)],
      [7],
      [null],
      [`${'x'.repeat(31)}!`],
    ]) {
      const make = () => new MemoryStore({ encryptionKeys: wrong as never })
      expect(make).toThrow(/encryptionKeys.*openssl rand -base64 32/)
      expect(make).not.toThrow(/a-short-secret|xxx/)
    }
  })
})

describe('acceptPlaintext', () => {
  test('reads what was stored before sealing was switched on, and the next write seals it', async () => {
    const { plain, open, atRest } = setUp()
    await plain.set('id', { secret: SECRET })
    expect(await open().get('id')).toBeNull()
    const changing = open({ acceptPlaintext: true })
    await changing.set('id', { ...(await changing.get('id')), a: 1 })
    expect((await atRest('id')).record.data).not.toMatch(/nobody/)
    expect(await open().get('id')).toMatchObject({ secret: SECRET, a: 1 })
  })

  test('is refused without keys', () => {
    expect(() => new MemoryStore({ acceptPlaintext: true })).toThrow(/encryptionKeys/)
  })
})
