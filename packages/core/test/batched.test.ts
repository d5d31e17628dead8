import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type Backend, type Call, type Change, SessionStore, type StoreOptions, TryAgain } from '../src/index.ts'
import { memoryWith } from './backends.ts'

/** A backend in memory that takes many records as one command, and notes what it was sent. */
function batching(verbs: (sound: Backend) => Partial<Backend> = () => ({})) {
  const sent: string[] = []
  const backend = memoryWith((sound) => ({
    read: async (key, call) => {
      sent.push('read')
      return sound.read(key, call)
    },
    write: async (...given) => {
      sent.push('write')
      return sound.write(...given)
    },
    replace: async (...given) => {
      sent.push('replace')
      return sound.replace(...given)
    },
    readMany: async (keys, call) => {
      sent.push(`read ${keys.length}`)
      return Promise.all(keys.map((key) => sound.read(key, call)))
    },
    changeMany: async (changes, call) => {
      sent.push(`change ${changes.length}`)
      return Promise.all(changes.map((change) => changeOne(sound, change, call)))
    },
    ...verbs(sound),
  }))
  return { sent, backend }
}

async function changeOne(sound: Backend, change: Change, call: Call) {
  if (change.verb === 'write') {
    await sound.write(change.key, change.record, change.version, call)
    return undefined
  }
  if (change.verb === 'replace') {
    return sound.replace(change.key, change.record, change.version, change.expected, call)
  }
  if (change.verb === 'touch') return sound.touch(change.key, change.expiresAt, change.expected, change.userId, call)
  return sound.remove(change.key, call)
}

function storeOver(backend: Backend, options: StoreOptions = {}): SessionStore {
  return new SessionStore(backend, { timeout: 300, pruneInterval: false, ...options })
}

const ids = (count: number) => Array.from({ length: count }, (_, n) => `id${n}`)

test('the calls of one turn go as one command, and each has its own answer', async () => {
  const { backend, sent } = batching()
  const store = storeOver(backend)
  await Promise.all(ids(20).map((id, n) => store.set(id, { n })))
  await Promise.all([...ids(5).map((id) => store.destroy(id)), store.set('new', { n: 20 })])
  const found = await Promise.all([...ids(20), 'new', 'none'].map((id) => store.get(id)))
  expect(found.map((session) => session?.n)).toEqual([
    ...Array(5).fill(undefined),
    ...ids(15).map((_, n) => n + 5),
    20,
    undefined,
  ])
  expect(sent).toEqual(['change 20', 'change 6', 'read 22'])
})

test('a call that is alone in its turn goes by itself', async () => {
  const { backend, sent } = batching()
  const store = storeOver(backend)
  await store.set('id', { a: 1 })
  await store.set('id', { ...(await store.get('id')), a: 2 })
  expect(sent).toEqual(['write', 'read', 'replace'])
})

test('after a call that was alone the next one goes at once, until there is company', async () => {
  const { backend, sent } = batching()
  const store = storeOver(backend)
  await store.get('id')
  const four = ids(4).map((id) => store.get(id))
  expect(sent.splice(0), 'without waiting for the end of the turn').toEqual(['read', 'read'])
  await Promise.all(four)
  await Promise.all(ids(4).map((id) => store.get(id)))
  expect(sent).toEqual(['read 3', 'read 4'])
})

test('a batch is bounded in records and in bytes', async () => {
  const { backend, sent } = batching()
  const store = storeOver(backend)
  await Promise.all(ids(150).map((id) => store.get(id)))
  expect(sent.splice(0)).toEqual(['read 64', 'read 64', 'read 22'])
  await Promise.all(ids(12).map((id) => store.set(id, { text: 'x'.repeat(60 * 1024) })))
  expect(sent).toEqual(['change 4', 'change 4', 'change 4'])
})

test('a record that fails in a batch fails alone, and one that may be sent again is, by itself', async () => {
  const { backend, sent } = batching((sound) => ({
    changeMany: async (changes, call) =>
      Promise.all(
        changes.map(async (change, n) => {
          if (n === 1) return new Error('refused')
          if (n === 2) return new TryAgain(new Error('locked'))
          return changeOne(sound, change, call)
        }),
      ),
  }))
  const store = storeOver(backend)
  const outcomes = await Promise.allSettled(ids(4).map((id) => store.set(id, {})))
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
  expect((outcomes[1] as PromiseRejectedResult).reason).toMatchObject({
    statusCode: 503,
    cause: { message: 'refused' },
  })
  expect(sent).toEqual(['write'])
})

test('an error of a batch is that of each of its calls, and shows nothing of the others', async () => {
  const { backend } = batching(() => ({
    changeMany: async (changes) => {
      throw new Error(`refused: ${JSON.stringify(changes)}`)
    },
  }))
  const store = storeOver(backend)
  const outcomes = await Promise.allSettled(
    ['ada', 'bob'].map((name) => store.set(`id of ${name}`, { secret: `the secret of ${name}` })),
  )
  for (const { reason } of outcomes as PromiseRejectedResult[]) {
    expect(reason).toMatchObject({ code: 'SESSION_STORE_UNAVAILABLE', statusCode: 503 })
    const { inspect } = await import('node:util')
    expect(inspect(reason, { depth: 5 })).not.toMatch(/secret of/)
  }
})

test('a batch that hangs costs each call its own deadline, and the backend is told when the last has ended', async () => {
  let aborted = false
  const { backend } = batching((sound) => ({
    read: (key, call) => sound.read(key, call),
    readMany: (_keys, call) => {
      call.signal.addEventListener('abort', () => {
        aborted = true
      })
      return new Promise(() => {})
    },
  }))
  const store = storeOver(backend)
  const outcomes = await Promise.allSettled(ids(3).map((id) => store.get(id)))
  expect(outcomes.map(({ status }) => status)).toEqual(Array(3).fill('rejected'))
  expect(aborted).toBe(true)
})

test('calls that come during an outage go together when it is over', async () => {
  let isDown = true
  const untilItIsBack = async () => {
    while (isDown) await sleep(5)
  }
  const { backend, sent } = batching(() => ({ ping: untilItIsBack }))
  const read = backend.read
  backend.read = async (...given) => {
    await untilItIsBack()
    return read(...given)
  }
  const store = storeOver(backend, { timeout: 50 })
  await expect(store.get('first')).rejects.toMatchObject({ code: 'SESSION_STORE_UNAVAILABLE' })
  const calls = ids(3).map((id) => store.get(id))
  isDown = false
  expect(await Promise.all(calls)).toEqual([null, null, null])
  expect(sent).toEqual(['read', 'read', 'read 2'])
})

test('only calls for the same part of the server share a batch', async () => {
  const batches: number[] = []
  const { backend } = batching((sound) => ({
    partOf: ({ key }) => ((key ?? '') < 'V' ? 'low' : 'high'),
    readMany: async (keys, call) => {
      batches.push(keys.length)
      if (keys.every((key) => key < 'V')) await new Promise(() => {})
      return Promise.all(keys.map((key) => sound.read(key, call)))
    },
  }))
  const store = storeOver(backend)
  const outcomes = await Promise.allSettled(ids(40).map((id) => store.get(id)))
  expect(batches.length).toBe(2)
  const failed = outcomes.filter(({ status }) => status === 'rejected').length
  expect(batches, 'the calls of the other part were answered').toContain(failed)
  expect(failed).toBeGreaterThan(0)
  expect(failed).toBeLessThan(40)
})

test('the writes of one session keep their order', async () => {
  const { backend } = batching()
  const store = storeOver(backend)
  await store.set('id', {})
  const loaded = await Promise.all(Array.from({ length: 20 }, () => store.get('id')))
  await Promise.all(loaded.map((session, n) => store.set('id', { ...session, [`k${n}`]: n, last: n })))
  await sleep(0)
  const { last, ...rest } = await store.get('id')
  expect(last).toBe(19)
  expect(Object.keys(rest).filter((key) => key.startsWith('k')).length).toBe(20)
})

test('over a synchronous backend the first change of a turn is made at once, and the others together', async () => {
  const sent: string[] = []
  const store = storeOver(
    memoryWith((sound) => ({
      isSynchronous: true,
      write: (...given) => {
        sent.push('write')
        return sound.write(...given)
      },
      changeMany: async (changes, call) => {
        sent.push(`change ${changes.length}`)
        return Promise.all(changes.map((change) => changeOne(sound, change, call)))
      },
    })),
  )
  let isFirstSaved = false
  store.set('first', {}, () => {
    isFirstSaved = true
  })
  expect(isFirstSaved).toBe(true)
  await Promise.all(ids(5).map((id) => store.set(id, {})))
  expect(sent).toEqual(['write', 'change 5'])
  expect(await store.count()).toBe(6)
})
