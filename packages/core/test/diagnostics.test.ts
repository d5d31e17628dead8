import { channel, tracingChannel } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  type AdoptedMessage,
  type BackMessage,
  type DownMessage,
  MemoryStore,
  type OperationContext,
  SessionStore,
  type UnopenedMessage,
} from '../src/index.ts'
import { memoryWith } from './backends.ts'

/** The events on the tracing channel of an operation, with what was known by then. */
function tracing(operation: string) {
  const events: Array<[event: string, context: Partial<OperationContext>]> = []
  const contexts = new Set<unknown>()
  const note = (event: string) => (context: object) => {
    contexts.add(context)
    events.push([event, { ...context }])
  }
  const subscribers = {
    start: note('start'),
    end: note('end'),
    asyncStart: note('asyncStart'),
    asyncEnd: note('asyncEnd'),
    error: note('error'),
  }
  const traced = tracingChannel(`session-stores.${operation}`)
  traced.subscribe(subscribers)
  onTestFinished(() => void traced.unsubscribe(subscribers))
  return { events, contexts }
}

function listenTo<Message>(name: string): Message[] {
  const messages: Message[] = []
  const listen = (message: unknown) => void messages.push(message as Message)
  channel(name).subscribe(listen)
  onTestFinished(() => void channel(name).unsubscribe(listen))
  return messages
}

describe('an operation', () => {
  test('is one context from start to asyncEnd, whether its answer comes at once or later', async () => {
    for (const backend of [memoryWith(), memoryWith((sound) => ({ read: async (...given) => sound.read(...given) }))]) {
      const { events, contexts } = tracing('get')
      const store = new SessionStore(backend, { name: 'carts' })
      await store.get('id')
      const start = { store: 'memory', name: 'carts', operation: 'get' }
      const ended = { ...start, outcome: 'miss', duration: expect.any(Number) }
      expect(events).toEqual([
        ['start', start],
        ['end', start],
        ['asyncStart', ended],
        ['asyncEnd', ended],
      ])
      expect(contexts.size).toBe(1)
    }
  })

  test('that fails says so on error, and ends', async () => {
    const { events } = tracing('get')
    const store = new SessionStore(memoryWith({ read: () => Promise.reject(new Error('no server')) }))
    await store.get('id').catch(() => {})
    expect(events.map(([event]) => event)).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
    expect(events.at(-1)?.[1]).toMatchObject({ outcome: 'error', error: { code: 'SESSION_STORE_UNAVAILABLE' } })
  })

  test('says how many went to the server together', async () => {
    const { events } = tracing('get')
    const store = new SessionStore(
      memoryWith((sound) => ({
        readMany: async (keys, call) => Promise.all(keys.map((key) => sound.read(key, call))),
      })),
    )
    await Promise.all([store.get('a'), store.get('b'), store.get('c')])
    await store.get('alone')
    const sizes = events.filter(([event]) => event === 'asyncEnd').map(([, { batchSize }]) => batchSize)
    expect(sizes).toEqual([3, 3, 3, undefined])
  })

  test('runs inside the stores that a subscriber binds to its start, as tracers do', async () => {
    const { AsyncLocalStorage } = await import('node:async_hooks')
    const storage = new AsyncLocalStorage<string>()
    const { start } = tracingChannel<string, OperationContext>('session-stores.get')
    start.bindStore(storage, ({ operation }) => `span of ${operation}`)
    onTestFinished(() => void start.unbindStore(storage))
    let seen: unknown
    const store = new SessionStore(
      memoryWith({
        read: async () => {
          seen = storage.getStore()
          return undefined
        },
      }),
    )
    await store.get('id')
    expect(seen).toBe('span of get')
  })

  test('shows no id and no session data', async () => {
    const all = ['get', 'set', 'destroy', 'listByUser', 'destroyByUser'].map((operation) => tracing(operation).events)
    const store = new MemoryStore({ userOf: (session) => session.user })
    await store.set('the-secret-id', { user: 'ada-the-user', secret: 'the-data' })
    await store.get('the-secret-id')
    await store.listByUser('ada-the-user')
    await store.destroyByUser('ada-the-user')
    await store.destroy('the-secret-id')
    expect(all.flat().length).toBe(20)
    expect(inspect(all, { depth: 10 })).not.toMatch(/secret|ada|the-data/)
  })

  test('shows none where everything fails, whatever the server and the old store quote', async () => {
    const failing = ['get', 'set', 'destroy', 'touch', 'ping', 'count', 'scan', 'clear', 'index', 'prune'] as const
    const all = [...failing, 'listByUser', 'destroyByUser'].map((operation) => tracing(operation).events)
    const quote = (...given: unknown[]): never => {
      throw Object.assign(new Error(`refused: ${JSON.stringify(given)}`), { command: given })
    }
    const verbs = ['read', 'write', 'replace', 'touch', 'remove', 'insert', 'ping', 'count', 'scan', 'clear', 'prune']
    const quoting = [...verbs, 'findByUser', 'removeOfUser'].map((verb) => [verb, quote])
    const userOf = (session: { user?: string }) => session.user
    const broken = new SessionStore(memoryWith(Object.fromEntries(quoting)), { userOf })
    const old = { get: quote, destroy: quote }
    const moving = new SessionStore(memoryWith(), { adopt: old })
    const small = new MemoryStore({ maxBytes: 100, userOf })
    const [id, user] = ['the-secret-id', 'ada-the-user']
    const session = { user, secret: 'the-data', long: 'the-data'.repeat(20) }
    const sessions = async (store: SessionStore) => {
      for await (const _ of store.scan());
    }
    await Promise.allSettled([
      ...[broken, moving, small].flatMap((store) => [store.get(id), store.set(id, session), store.destroy(id)]),
      broken.touch(id, session),
      broken.listByUser(user),
      broken.destroyByUser(user),
      sessions(broken),
      ...(['ping', 'count', 'clear', 'index', 'prune'] as const).map((operation) => broken[operation]()),
      small.set(id, { user, 'the-key': 1n }),
      small.set(id, { cookie: { expires: 'the-data' } }),
    ])
    for (const events of all) expect(events.map(([event]) => event)).toContain('error')
    expect(inspect(all, { depth: 10, showHidden: true })).not.toMatch(/the-secret|ada|the-data|[\w-]{43}/)
  })
})

test('a server taken for down, and back, is told with its part and how long it was', async () => {
  const [down, back] = [listenTo<DownMessage>('session-stores.down'), listenTo<BackMessage>('session-stores.back')]
  let isDown = true
  const hang = () => new Promise<never>(() => {})
  const store = new SessionStore(
    memoryWith((sound) => ({
      read: (key, call) => (isDown ? hang() : sound.read(key, call)),
      ping: () => (isDown ? hang() : undefined),
      partOf: () => '10.0.0.7:11211',
    })),
    { timeout: 100, name: 'carts' },
  )
  onTestFinished(() => store.close())
  const identity = { store: 'memory', name: 'carts', part: '10.0.0.7:11211' }
  await store.get('id').catch(() => {})
  await store.get('id').catch(() => {})
  expect(down).toEqual([identity])
  expect(back).toEqual([])
  await sleep(50)
  isDown = false
  await expect.poll(() => back).toEqual([{ ...identity, duration: expect.any(Number) }])
  expect(back[0]?.duration).toBeGreaterThanOrEqual(50)
})

test('an outage that the store is closed in is over for those who listen', async () => {
  const [down, back] = [listenTo<DownMessage>('session-stores.down'), listenTo<BackMessage>('session-stores.back')]
  const hang = () => new Promise<never>(() => {})
  const store = new SessionStore(memoryWith({ read: hang, ping: hang }), { timeout: 100 })
  await store.get('id').catch(() => {})
  await store.close()
  await store.close()
  const identity = { store: 'memory', name: 'memory', part: '' }
  expect(down).toEqual([identity])
  expect(back).toEqual([{ ...identity, duration: expect.any(Number) }])
})

test('each session that is taken over from an old store is told, once', async () => {
  const adopted = listenTo<AdoptedMessage>('session-stores.adopted')
  const old = new MemoryStore()
  await old.set('id', { a: 1 })
  const store = new MemoryStore({ adopt: old, name: 'carts' })
  for (let n = 0; n < 2; n += 1) expect(await store.get('id')).toMatchObject({ a: 1 })
  expect(await store.get('other')).toBeNull()
  expect(adopted).toEqual([{ store: 'memory', name: 'carts' }])
})

test('a record that no key opens is told', async () => {
  const unopened = listenTo<UnopenedMessage>('session-stores.unopened')
  const plain = new MemoryStore()
  await plain.set('id', { secret: 1 })
  await new SessionStore(plain.backend, { encryptionKeys: ['ab'.repeat(32)] }).get('id')
  expect(unopened).toEqual([{ store: 'memory', name: 'memory' }])
})
