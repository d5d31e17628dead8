import { channel } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { MemoryStore, newVersion, type OperationContext, SessionStore } from '../src/index.ts'
import { memoryWith } from './backends.ts'

const HOUR = 3_600_000
let now = Date.now()
const clock = () => now

function cookie(maxAge = HOUR) {
  return { expires: new Date(now + maxAge), originalMaxAge: maxAge }
}

describe('diagnostics', () => {
  const operations = ['get', 'set', 'destroy', 'touch', 'prune', 'clear', 'count']
  let messages: string[] = []
  const listen = (context: unknown) => {
    const { store, operation, outcome, duration } = context as OperationContext
    expect(duration).toBeGreaterThanOrEqual(0)
    messages.push(`${operation} ${outcome} (${store})`)
  }
  afterEach(() => {
    for (const each of operations) channel(`tracing:session-stores.${each}:asyncEnd`).unsubscribe(listen)
  })

  test('each operation tells what it came to', async () => {
    messages = []
    for (const each of operations) channel(`tracing:session-stores.${each}:asyncEnd`).subscribe(listen)
    const store = new MemoryStore({ now: clock, pruneInterval: false })
    await store.get('id')
    await store.set('id', { cookie: cookie() })
    const [a, b, c] = [await store.get('id'), await store.get('id'), await store.get('id')]
    await store.set('id', a)
    await store.set('id', { ...a, a: 1 })
    await store.set('id', { ...b, b: 1 })
    now += HOUR / 2
    await store.set('id', { ...c, cookie: cookie() })
    await store.touch('id', c)
    await store.destroy('id')
    await store.set('id', { ...c, c: 1 })
    await store.set('ended', { cookie: cookie(-1) })
    await store.count()
    await store.clear()
    await store.prune()
    expect(messages).toEqual([
      'get miss (memory)',
      'set written (memory)',
      'get hit (memory)',
      'get hit (memory)',
      'get hit (memory)',
      'set skipped (memory)',
      'set written (memory)',
      'set merged (memory)',
      'set touched (memory)',
      'touch skipped (memory)',
      'destroy removed (memory)',
      'set dropped (memory)',
      'set expired (memory)',
      'count done (memory)',
      'clear done (memory)',
      'prune done (memory)',
    ])
  })
})

test('an expiry between two milliseconds is the earlier one, and one before 1970 has passed', async () => {
  const store = new MemoryStore({ now: clock, pruneInterval: false })
  await store.set('id', { cookie: { expires: now + HOUR + 0.7 } })
  expect((await store.get('id')).cookie.expires.getTime()).toBe(now + HOUR)
  const { value } = await store.scan().next()
  expect(value?.expiresAt).toBe(now + HOUR)
  await store.set('id', { ...(await store.get('id')), cookie: { expires: new Date(-1) } })
  expect(await store.count()).toBe(0)
})

test('a clock between two milliseconds makes whole ones', async () => {
  const store = new MemoryStore({ now: () => now + 0.7, pruneInterval: false })
  await store.set('id', {})
  expect((await store.scan().next()).value).toMatchObject({ createdAt: now, expiresAt: now + 24 * HOUR })
})

test('a ttl without end is capped to the last moment there is', async () => {
  const store = new MemoryStore({ ttl: Number.MAX_SAFE_INTEGER })
  await store.set('id', {})
  expect((await store.scan().next()).value?.expiresAt).toBe(8.64e15)
})

describe('touchInterval', () => {
  test('is 5 % of the lifetime by default, at most a minute', async () => {
    for (const [lifetime, least] of [
      [100_000, 5000],
      [24 * HOUR, 60_000],
    ] as const) {
      const store = new MemoryStore({ now: clock, pruneInterval: false })
      await store.set('id', { cookie: cookie(lifetime) })
      const end = now + lifetime
      now += least - 1
      await store.set('id', { ...(await store.get('id')), cookie: cookie(lifetime) })
      expect((await store.get('id')).cookie.expires.getTime()).toBe(end)
      now += 1
      await store.set('id', { ...(await store.get('id')), cookie: cookie(lifetime) })
      expect((await store.get('id')).cookie.expires.getTime()).toBe(end + least)
    }
  })

  test('never lets a busy session end, however long it is', async () => {
    const store = new MemoryStore({ now: clock, pruneInterval: false, touchInterval: 24 * HOUR })
    await store.set('id', { cookie: cookie(1000) })
    for (let n = 0; n < 10; n += 1) {
      now += 500
      const session = await store.get('id')
      expect(session).not.toBeNull()
      await store.set('id', { ...session, cookie: cookie(1000) })
    }
  })
})

test('absoluteTimeout also ends sessions that were stored before it was set', async () => {
  const lenient = new MemoryStore({ now: clock, pruneInterval: false })
  await lenient.set('id', { cookie: cookie(24 * HOUR) })
  const strict = new SessionStore(lenient.backend, { now: clock, pruneInterval: false, absoluteTimeout: HOUR })
  expect((await strict.get('id'))?.cookie.expires.getTime()).toBe(now + HOUR)
  now += HOUR
  expect(await strict.get('id')).toBeNull()
})

describe('onConflict', () => {
  async function conflict(store: MemoryStore) {
    await store.set('id', { cart: ['a'], n: 1 })
    const [first, second] = [await store.get('id'), await store.get('id')]
    await store.set('id', { ...first, cart: ['a', 'b'] })
    await store.set('id', { ...second, cart: ['a', 'c'] })
    return store.get('id')
  }

  test('a function answers the session to store', async () => {
    const store = new MemoryStore({
      onConflict: (base, theirs, ours) => {
        expect(base).toMatchObject({ cart: ['a'] })
        return { ...ours, cart: [...new Set([...(theirs.cart as string[]), ...(ours.cart as string[])])] }
      },
    })
    expect(await conflict(store)).toMatchObject({ cart: ['a', 'b', 'c'], n: 1 })
  })

  test('what it throws reaches the caller, and nothing is stored', async () => {
    const store = new MemoryStore({
      onConflict: () => {
        throw new RangeError('no way')
      },
    })
    await expect(conflict(store)).rejects.toThrow(RangeError)
    expect(await store.get('id')).toMatchObject({ cart: ['a', 'b'] })
  })

  test('a promise or no object is refused', async () => {
    for (const answer of [Promise.resolve({}), undefined]) {
      const store = new MemoryStore({ onConflict: () => answer as never })
      await expect(conflict(store)).rejects.toThrow(/onConflict must answer the session to store/)
    }
  })

  test('a merged session over maxBytes is refused, and what was stored stays', async () => {
    const store = new MemoryStore({ maxBytes: 100 })
    await store.set('id', {})
    const [first, second] = [await store.get('id'), await store.get('id')]
    await store.set('id', { ...first, a: 'x'.repeat(60) })
    await expect(store.set('id', { ...second, b: 'x'.repeat(60) })).rejects.toMatchObject({ code: 'SESSION_TOO_LARGE' })
    expect(await store.get('id')).toMatchObject({ a: 'x'.repeat(60) })
  })
})

test('a save that others foil each time ends, with an error that says so', async () => {
  let attempts = 0
  const store = new SessionStore(
    memoryWith((sound) => ({
      replace: async (key, record, version, expected, call) => {
        attempts += 1
        await sound.write(key, { ...record, data: JSON.stringify({ theirs: attempts }) }, newVersion(), call)
        return sound.replace(key, record, version, expected, call)
      },
    })),
    { timeout: 60_000 },
  )
  await store.set('id', { theirs: 0 })
  const session = await store.get('id')
  await expect(store.set('id', { ...session, ours: 1 })).rejects.toMatchObject({
    code: 'SESSION_CONFLICT',
    statusCode: 503,
    message: expect.stringContaining('20 attempts'),
  })
  expect(attempts).toBe(20)
  expect(await store.get('id')).toMatchObject({ theirs: 20 })
})

describe('what a session holds', () => {
  test('a value that JSON cannot hold is an error that names its key and not its content', async () => {
    const store = new MemoryStore()
    const circular: Record<string, unknown> = { secret: 'hidden' }
    circular.self = circular
    for (const [key, value] of Object.entries({ big: 1n, circular })) {
      const error = await store.set('id', { [key]: value }).catch((caught: unknown) => caught)
      expect(error).toMatchObject({ code: 'SESSION_NOT_SERIALIZABLE', message: expect.stringContaining(`'${key}'`) })
      expect(String((error as Error).stack)).not.toContain('hidden')
    }
    expect(await store.get('id')).toBeNull()
  })

  test('a serializer of the user’s own sees data without the cookie’s expiry, and can hold what JSON cannot', async () => {
    const store = new MemoryStore({
      serializer: {
        stringify: (session) =>
          `v1:${JSON.stringify(session, (_, value) => (typeof value === 'bigint' ? `${value}n` : value))}`,
        parse: (text) =>
          JSON.parse(text.slice(3), (_, value) => (/^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value)),
      },
    })
    await store.set('id', { cookie: cookie(), big: 5n, list: [1] })
    const [first, second] = [await store.get('id'), await store.get('id')]
    expect(first).toMatchObject({ big: 5n, cookie: { expires: expect.any(Date) } })
    await store.set('id', { ...first, a: 1n })
    await store.set('id', { ...second, b: 2n })
    expect(await store.get('id')).toMatchObject({ big: 5n, a: 1n, b: 2n })
  })

  test('a serializer that answers a promise is an error, and nothing is stored', async () => {
    const stringify = (async (session: object) => JSON.stringify(session)) as never
    const store = new MemoryStore({ serializer: { stringify, parse: JSON.parse } })
    await expect(store.set('id', { a: 1 })).rejects.toMatchObject({
      code: 'SESSION_NOT_SERIALIZABLE',
      message: expect.stringContaining('serializer.stringify did not answer a string'),
    })
    expect(await store.count()).toBe(0)
  })

  test('a serializer of the user’s own cannot reach the session’s prototype', async () => {
    const store = new MemoryStore({ serializer: JSON })
    await store.set('id', JSON.parse('{"a":1,"__proto__":{"admin":true}}'))
    const { value } = await store.scan().next()
    const spoilt = { data: '{"a":1,"__proto__":{"admin":true}}', createdAt: 0, expiresAt: 8.64e15 }
    await store.backend.write(value?.handle ?? '', spoilt, newVersion())
    expect(Reflect.ownKeys(await store.get('id'))).toEqual(['a', '~loaded'])
  })

  test('a session copied to a new id is a new session', async () => {
    const store = new MemoryStore()
    await store.set('one', { a: 1 })
    const copied = await store.get('one')
    await store.destroy('one')
    await store.set('two', copied)
    expect(await store.get('two')).toMatchObject({ a: 1 })
  })

  test('a session loaded from one store is a new one to another', async () => {
    const [old, young] = [new MemoryStore(), new MemoryStore()]
    await old.set('id', { a: 1 })
    await young.set('id', await old.get('id'))
    expect(await young.get('id')).toMatchObject({ a: 1 })
  })

  test('a session that another began under the same id meanwhile is not mixed up with it', async () => {
    const store = new MemoryStore({ now: clock })
    await store.set('id', { user: 'ada' })
    const slow = await store.get('id')
    await store.destroy('id')
    now += 1
    await store.set('id', { user: 'eve' })
    await store.set('id', { ...slow, late: true })
    expect(await store.get('id')).toMatchObject({ user: 'eve' })
    expect(await store.get('id')).not.toHaveProperty('late')
  })

  test('… not even while all of them are being written at once', async () => {
    const store = new MemoryStore({ now: clock })
    await store.set('id', { user: 'ada' })
    const slow = await store.get('id')
    now += 1
    await Promise.all([
      store.destroy('id'),
      store.set('id', { user: 'eve' }),
      store.set('id', { ...slow, isAdmin: true }),
    ])
    expect(await store.get('id')).toMatchObject({ user: 'eve' })
    expect(await store.get('id')).not.toHaveProperty('isAdmin')
  })
})

describe('sessions of odd kinds', () => {
  test('a frozen session is saved', async () => {
    const store = new MemoryStore()
    await store.set('id', Object.freeze({ a: 1 }))
    await store.set('id', Object.freeze({ ...(await store.get('id')), a: 2 }))
    await store.set('id', Object.freeze(Object.assign(await store.get('id'), { a: 3 })))
    expect(await store.get('id')).toMatchObject({ a: 3 })
  })

  test('a getter that throws is an error that does not quote it', async () => {
    const session = {
      get a(): never {
        throw new RangeError('hidden')
      },
    }
    const error = await new MemoryStore().set('id', session).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'SESSION_NOT_SERIALIZABLE', message: expect.stringContaining('RangeError') })
    expect(String((error as Error).stack)).not.toContain('hidden')
  })

  test('a deep copy, whose snapshot is no longer one, counts as new', async () => {
    const store = new MemoryStore()
    await store.set('id', { a: 1 })
    await store.set('id', structuredClone(await store.get('id')))
    await store.set('id', { ...(await store.get('id')), '~loaded': Object.create(null), a: 2 })
    expect(await store.get('id')).toMatchObject({ a: 2 })
  })

  test('one that was over a limit lowered since can still be read and kept alive', async () => {
    const generous = new MemoryStore({ now: clock, pruneInterval: false })
    await generous.set('id', { cookie: cookie(), a: 'x'.repeat(500) })
    const strict = new SessionStore(generous.backend, { now: clock, pruneInterval: false, maxBytes: 100 })
    now += HOUR / 2
    const session = await strict.get('id')
    await strict.set('id', { ...session, cookie: cookie() })
    expect((await strict.get('id'))?.cookie.expires.getTime()).toBe(now + HOUR)
    await expect(strict.set('id', { ...session, b: 1 })).rejects.toMatchObject({ code: 'SESSION_TOO_LARGE' })
  })
})

test('clocks that differ a little between processes cost no writes', async () => {
  const ahead = new MemoryStore({ now: () => now + 2000, pruneInterval: false })
  const behind = new SessionStore(ahead.backend, { now: clock, pruneInterval: false })
  await ahead.set('id', { cookie: { expires: new Date(now + 2000 + HOUR), originalMaxAge: HOUR } })
  const key = (await ahead.scan().next()).value?.handle ?? ''
  const before = await ahead.backend.read(key)
  await behind.set('id', { ...(await behind.get('id')), cookie: cookie() })
  expect(await ahead.backend.read(key)).toEqual(before)
})

test('scan shows live sessions by handle, with their times', async () => {
  const store = new MemoryStore({ now: clock, pruneInterval: false })
  await store.set('live', { cookie: cookie(), a: 1 })
  await store.set('ends', { cookie: cookie(1000) })
  now += 1000
  const seen: unknown[] = []
  for await (const each of store.scan()) seen.push(each)
  expect(seen).toEqual([
    {
      handle: expect.stringMatching(/^[\w-]{43}$/),
      createdAt: now - 1000,
      expiresAt: now - 1000 + HOUR,
      session: { cookie: { expires: new Date(now - 1000 + HOUR), originalMaxAge: HOUR }, a: 1 },
    },
  ])
})

test('a session is found by its handle, as a scan shows it', async () => {
  const store = new MemoryStore({ now: clock, userOf: ({ user }) => user })
  await store.set('id', { cookie: cookie(), user: 'ada' })
  const { value: scanned } = await store.scan().next()
  const found = await store.getByHandle(store.handleOf('id'))
  expect(found).toEqual(scanned)
  expect(found).toMatchObject({ userId: 'ada', session: { user: 'ada' }, expiresAt: now + HOUR })
  await expect(store.getByHandle('id')).rejects.toThrow(
    'the handle must be one that listByUser, scan or handleOf answered',
  )
  expect(await store.getByHandle(store.handleOf('another'))).toBeNull()
  await store.backend.write(store.handleOf('odd'), { data: 'odd', createdAt: now, expiresAt: now + HOUR }, newVersion())
  expect(await store.getByHandle(store.handleOf('odd'))).toBeNull()
  now += HOUR
  expect(await store.getByHandle(store.handleOf('id'))).toBeNull()
})

test('prune deletes what has expired, in batches, and answers how many', async () => {
  const store = new MemoryStore({ now: clock, pruneInterval: false })
  for (let n = 0; n < 2500; n += 1) await store.set(`id${n}`, { cookie: cookie(n % 2 ? HOUR : 1000) })
  now += 1000
  expect(await Promise.all([store.prune(), store.prune()])).toEqual([1250, 1250])
  const progress: number[] = []
  expect(await store.count({ onProgress: (counted) => progress.push(counted) })).toBe(1250)
  expect(progress.at(-1)).toBe(1250)
  now += HOUR
  progress.length = 0
  expect(await store.prune({ onProgress: (removed) => progress.push(removed) })).toBe(1250)
  expect(progress).toEqual([1000, 1250])
})

describe('a callback that throws', () => {
  const failure = new Error('of the caller')

  test('throws at its caller when it is called at once, and is not called again', () => {
    for (const id of ['id', '']) {
      const given: unknown[] = []
      const get = () =>
        new MemoryStore().get(id, (error) => {
          given.push(error)
          throw failure
        })
      expect(get).toThrow(failure)
      expect(given).toEqual([id === '' ? expect.any(TypeError) : null])
    }
  })

  test('is an uncaught exception when the answer came later, and is not called again', async () => {
    const store = new SessionStore(memoryWith({ read: async () => undefined }))
    const uncaught = new Promise((resolve) => process.once('uncaughtException', resolve))
    const listeners = process.listeners('uncaughtException').slice(0, -1)
    for (const each of listeners) process.off('uncaughtException', each)
    const given: unknown[] = []
    store.get('id', (error) => {
      given.push(error)
      throw failure
    })
    expect(await uncaught).toBe(failure)
    for (const each of listeners) process.on('uncaughtException', each)
    expect(given).toEqual([null])
  })
})

test('what a loaded session prints and lists shows no snapshot data', async () => {
  const { inspect } = await import('node:util')
  const store = new MemoryStore()
  await store.set('id', { a: 1 })
  const session = await store.get('id')
  expect(JSON.stringify(session)).toBe('{"a":1}')
  expect(inspect(session['~loaded'], { showHidden: true, depth: 5 })).not.toContain('"a"')
})

test.each(['count', 'clear', 'prune'] as const)(
  '%s() under way ends when the store is closed, with an error',
  async (operation) => {
    const endless = async () => ({ next: 'more', count: 1, removed: 1 })
    const store = new SessionStore(memoryWith({ count: endless, clear: endless, prune: endless }))
    const underWay = store[operation]()
    await sleep(5)
    await store.close()
    await expect(underWay).rejects.toMatchObject({ code: 'SESSION_STORE_CLOSED' })
  },
)
