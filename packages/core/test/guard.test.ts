import { channel } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import {
  type Backend,
  type Call,
  type OperationContext,
  SessionStore,
  type StoreOptions,
  TryAgain,
  type Work,
} from '../src/index.ts'
import { memoryWith } from './backends.ts'

const unavailable = { code: 'SESSION_STORE_UNAVAILABLE', statusCode: 503 }
const refused = new Error('connect ECONNREFUSED')

let closing: SessionStore[] = []
afterEach(async () => {
  for (const store of closing) await store.close()
  closing = []
})

function storeOver(verbs: Parameters<typeof memoryWith>[0], options: StoreOptions = {}): SessionStore {
  const store = new SessionStore(memoryWith(verbs), { timeout: 400, ...options })
  closing.push(store)
  return store
}

async function timed(work: Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await work.catch(() => {})
  return performance.now() - begun
}

describe('a call that may succeed a moment later', () => {
  test('is sent again with the same arguments, and its caller sees only the success', async () => {
    const sent: unknown[] = []
    const store = storeOver((sound) => ({
      write: (key, record, version, call) => {
        sent.push([key, version, call.attempt, call.now])
        if (call.attempt < 3) throw new TryAgain(refused)
        return sound.write(key, record, version, call)
      },
    }))
    await store.set('id', { a: 1 })
    expect(await store.get('id')).toMatchObject({ a: 1 })
    const [[key, version, , now]] = sent as [unknown[]]
    expect(sent).toEqual([1, 2, 3].map((attempt) => [key, version, attempt, now]))
  })

  test('is a 503 with the reason once its time is over, and then calls fail fast until a ping is answered', async () => {
    let isDown = true
    const store = storeOver(
      (sound) => ({
        read: (key, call) => {
          if (isDown) throw new TryAgain(refused)
          return sound.read(key, call)
        },
        ping: async () => {
          if (isDown) throw refused
        },
      }),
      { timeout: 1500 },
    )
    await expect(store.get('id')).rejects.toMatchObject({ ...unavailable, cause: { message: refused.message } })
    expect(await timed(store.get('id')), 'far below a deadline').toBeLessThan(1000)
    isDown = false
    await expect.poll(() => store.get('id').catch(() => 'down')).toBeNull()
  })

  test('waits in line with the others: only the first is sent again and again', async () => {
    let isBusy = true
    let attempts = 0
    const store = storeOver(
      (sound) => ({
        read: (key, call) => {
          attempts += 1
          if (isBusy) throw new TryAgain(new Error('busy'))
          return sound.read(key, call)
        },
      }),
      { timeout: 5000 },
    )
    const all = Promise.all(Array.from({ length: 1000 }, (_, n) => store.get(`id${n}`)))
    await sleep(200)
    expect(attempts - 1000, 'attempts beyond the first of each').toBeLessThan(500)
    isBusy = false
    expect(new Set(await all)).toEqual(new Set([null]))
  })

  test('alone in its trouble, it keeps nobody from the server', async () => {
    const store = storeOver((sound) => ({
      write: () => Promise.reject(new TryAgain(new Error('serialization failure'), { alone: true })),
      ping: () => Promise.reject(new Error('not to be asked')),
      read: (key, call) => sound.read(key, call),
    }))
    await expect(store.set('hot', {})).rejects.toMatchObject({
      ...unavailable,
      cause: { message: 'serialization failure' },
    })
    expect(await store.get('other')).toBeNull()
  })

  test('in one batch of a long operation, it is sent again; other batches are not', async () => {
    const batches: unknown[] = []
    const store = storeOver({
      count: (_cutoff, from, call) => {
        batches.push([from, call.attempt])
        if (from === 'b' && call.attempt === 1) throw new TryAgain(refused)
        return { count: 1, next: { a: 'b', b: undefined }[from ?? ''] ?? (from === undefined ? 'a' : undefined) }
      },
    })
    expect(await store.count()).toBe(3)
    expect(batches).toEqual([
      [undefined, 1],
      ['a', 1],
      ['b', 1],
      ['b', 2],
    ])
  })
})

describe('when core stops waiting', () => {
  test('the backend is told, and the reason that it noted is the cause', async () => {
    let aborted = 0
    const store = storeOver({
      read: (_key, call) => {
        call.note(new Error('all connections are in use'))
        call.signal.addEventListener('abort', () => {
          aborted += 1
        })
        return new Promise(() => {})
      },
    })
    await expect(store.get('id')).rejects.toMatchObject({
      ...unavailable,
      cause: { message: 'all connections are in use' },
    })
    expect(aborted).toBe(1)
  })

  test('an answer that came in time leaves the signal alone', async () => {
    let signal: AbortSignal | undefined
    const store = storeOver({
      read: async (_key, call) => {
        signal = call.signal
        return undefined
      },
    })
    await store.get('id')
    expect(signal?.aborted).toBe(false)
  })
})

describe('an outage of one part', () => {
  const parts = (work: Work) => (work.key === undefined ? 'none' : work.verb === 'read' ? 'reads' : 'writes')

  test('costs its own calls one deadline and then little, and others nothing', async () => {
    const pinged: Work[] = []
    const store = storeOver((sound) => ({
      partOf: parts,
      ping: (work) => {
        pinged.push(work)
        return new Promise(() => {})
      },
      read: (key, call) => sound.read(key, call),
      write: () => new Promise(() => {}),
    }))
    await expect(store.set('id', {})).rejects.toMatchObject(unavailable)
    expect(await store.get('id')).toBeNull()
    expect(await timed(store.set('other', {}))).toBeLessThan(390)
    expect(await store.get('other')).toBeNull()
    expect(pinged.length).toBeGreaterThan(0)
    expect(
      pinged.every(({ verb }) => verb === 'write'),
      'only that part is asked',
    ).toBe(true)
  })
})

describe('a server far away', () => {
  /** Answers after `ms`, pings too. */
  const far = (ms: number) => (sound: Backend) => ({
    read: async (key: string, call: Call) => {
      await sleep(ms)
      return sound.read(key, call)
    },
    ping: async () => {
      await sleep(ms)
    },
  })

  test('a ping that takes longer than the pause between pings counts', async () => {
    let isCut = true
    const store = storeOver((sound) => {
      const { read, ping } = far(300)(sound)
      return {
        read: (key, call) => (isCut ? new Promise(() => {}) : read(key, call)),
        ping,
      }
    })
    await expect(store.get('id')).rejects.toMatchObject(unavailable)
    isCut = false
    await expect.poll(() => store.get('id').catch(() => 'down'), { timeout: 5000 }).toBeNull()
  })
})

describe('a request', () => {
  test('waits for one deadline, its load and its save together', async () => {
    const timeout = 1500
    const store = storeOver(
      (sound) => ({
        write: async (...given) => sound.write(...given), // at once, as it usually is
        read: async (key, call) => {
          await sleep(1200)
          return sound.read(key, call)
        },
        replace: () => new Promise(() => {}),
      }),
      { timeout },
    )
    await store.set('id', { a: 1 })
    const begun = performance.now()
    const session = await store.get('id')
    await expect(store.set('id', { ...session, a: 2 })).rejects.toMatchObject(unavailable)
    // What a save may take at least, and a busy machine: far below two deadlines.
    expect(performance.now() - begun).toBeLessThan(timeout + 1000)
  })

  test('waits for one deadline, the end of its session and the save of the new one together', async () => {
    const timeout = 1500
    const refusing = (): never => {
      throw new TryAgain(new Error('READONLY'))
    }
    const store = storeOver(() => ({ write: refusing, remove: refusing, ping: async () => {} }), { timeout })
    const begun = performance.now()
    const error = await new Promise((resolve) => {
      store.destroy('old', () => store.set('new', { regenerate() {}, reload() {} } as never, resolve))
    })
    expect(error).toMatchObject(unavailable)
    expect(performance.now() - begun).toBeLessThan(timeout + 1000)
  })

  test('whose save has had its whole time has half of that for the next one, however slow the server usually is', async () => {
    const timeout = 2000
    const store = storeOver(
      (sound) => ({
        read: async (...given) => {
          await sleep(500) // a queue: four times that would be the whole timeout
          return sound.read(...given)
        },
        write: () => {
          throw new TryAgain(new Error('locked'), { alone: true })
        },
      }),
      { timeout },
    )
    await store.get('other')
    const session = { a: 1 }
    await expect(store.set('id', session)).rejects.toMatchObject(unavailable)
    expect(await timed(store.set('id', session))).toBeLessThan(0.75 * timeout)
  })

  test('whose save failed in a stall saves the second time, on a server that answers, however far it is', async () => {
    let isStalled = false
    const store = storeOver((sound) => ({
      write: async (...given) => {
        if (isStalled) await new Promise(() => {})
        await sleep(60)
        return sound.write(...given)
      },
      ping: () => sleep(60),
    }))
    await store.set('warm', {})
    const session = { a: 1 }
    isStalled = true
    await expect(store.set('id', session)).rejects.toMatchObject(unavailable)
    isStalled = false
    await expect.poll(() => store.get('warm').catch(() => 'down')).not.toBe('down')
    await store.set('id', session)
    expect(await store.get('id')).toMatchObject({ a: 1 })
  })
})

describe('time in which the event loop is blocked is not the server’s', () => {
  /** For three times the timeout. */
  function block(): void {
    const end = performance.now() + 1200
    while (performance.now() < end);
  }

  test('an answer in the socket is read', async () => {
    const store = storeOver((sound) => ({
      read: async (key, call) => {
        await sleep(1) // sent before the block
        for (let turn = 0; turn < 20; turn += 1) await sleep(1) // a handshake of several turns after it
        return sound.read(key, call)
      },
    }))
    const answer = store.get('id')
    await sleep(5)
    block()
    expect(await answer).toBeNull()
  })

  const moments = {
    'while the answer is on its way': async () => {
      setTimeout(block, 1)
      await sleep(2)
      await sleep(1)
    },
    'at the very turn at which the answer comes': async () => {
      await sleep(1)
      block()
    },
  }
  describe.each(Object.entries(moments))('%s:', (_, blocked) => {
    /** A store over a server that answers later, and the first time after `blocksNext` with a block. */
    function open() {
      let next: () => Promise<unknown> = () => sleep(1)
      const pause = async () => {
        const now = next
        next = () => sleep(1)
        await now()
      }
      const store = storeOver((sound) => ({
        read: async (...given) => {
          await pause()
          return sound.read(...given)
        },
        replace: async (...given) => {
          await pause()
          return sound.replace(...given)
        },
      }))
      const answersAfter = (wait: () => Promise<unknown>) => {
        next = wait
      }
      return { store, answersAfter }
    }

    test('saves that wait for their turn get it', async () => {
      const { store, answersAfter } = open()
      await store.set('id', {})
      const sessions = await Promise.all([0, 1, 2].map(() => store.get('id')))
      answersAfter(blocked)
      await Promise.all(sessions.map((session, n) => store.set('id', { ...session, [`k${n}`]: n })))
      expect(await store.get('id')).toMatchObject({ k0: 0, k1: 1, k2: 2 })
    })

    test('a save that has to merge does so', async () => {
      const { store, answersAfter } = open()
      await store.set('id', {})
      const [ours, theirs] = [await store.get('id'), await store.get('id')]
      await store.set('id', { ...theirs, theirs: 1 })
      answersAfter(blocked)
      await store.set('id', { ...ours, ours: 1 })
      expect(await store.get('id')).toMatchObject({ ours: 1, theirs: 1 })
    })

    test('the save after a load has its full time', async () => {
      const { store, answersAfter } = open()
      await store.set('id', {})
      answersAfter(blocked)
      const session = await store.get('id')
      answersAfter(() => sleep(300))
      await store.set('id', { ...session, a: 1 })
      expect(await store.get('id')).toMatchObject({ a: 1 })
    })
  })
})

describe('a touch that the server refuses', () => {
  const HOUR = 3_600_000

  /** A session that is due for a touch, on a server that takes no writes from now on. */
  async function dueForTouch() {
    const clock = { now: Date.now() }
    let isReadOnly = false
    const store = storeOver(
      (sound) => ({
        touch: (...given) => {
          if (isReadOnly) throw new Error('READONLY')
          return sound.touch(...given)
        },
      }),
      { now: () => clock.now },
    )
    const cookie = () => ({ expires: new Date(clock.now + HOUR), originalMaxAge: HOUR })
    await store.set('id', { cookie: cookie() })
    clock.now += HOUR / 2
    isReadOnly = true
    return { store, clock, loaded: { ...(await store.get('id')), cookie: cookie() } }
  }

  test('does not fail a request that only reads, and is reported', async () => {
    const { store, loaded } = await dueForTouch()
    const messages: OperationContext[] = []
    const listen = (message: unknown) => messages.push(message as OperationContext)
    channel('tracing:session-stores.set:asyncEnd').subscribe(listen)
    onTestFinished(() => void channel('tracing:session-stores.set:asyncEnd').unsubscribe(listen))
    await store.set('id', loaded)
    expect(messages).toMatchObject([{ outcome: 'refused', error: { ...unavailable, cause: { message: 'READONLY' } } }])
  })

  test('fails who asked for a touch, and who needs it because the session has no life left', async () => {
    const { store, clock, loaded } = await dueForTouch()
    await expect(store.touch('id', loaded)).rejects.toMatchObject(unavailable)
    clock.now += HOUR / 2 - 1
    await store.set('id', loaded)
    clock.now += 1
    await store.set('id', loaded)
    expect(await store.get('id'), 'it has ended').toBeNull()
  })
})

describe('what an error shows', () => {
  const key = 'KySu8fROoT4LmQUiwpsVYAxEVmvcUTXZjJtqdNh7_Ts' // the SHA-256 of 'the-id'

  test('is what the driver says of the server, and nothing of the session', async () => {
    const session = { secret: 'a-long-secret-of-the-user' }
    const failures: Array<[thrown: (data: string, key: string) => unknown, shown: string]> = [
      [() => Object.assign(new Error('ECONNREFUSED 10.0.0.1'), { code: 'ECONNREFUSED' }), 'ECONNREFUSED'],
      [(data) => new Error(`ERR unknown command, with args beginning with: ${data.slice(0, 24)}`), 'ERR unknown'],
      [(_data, key) => new Error(`WRONGTYPE of 'sess:${key}'`), 'WRONGTYPE'],
      [(data, key) => Object.assign(new Error('failed'), { command: { args: [key, data] } }), 'failed'],
      [(data) => new Error('outer', { cause: new Error(`inner ${data}`) }), 'outer'],
      [(data) => new AggregateError([new Error('first'), new Error(`second ${data}`)]), 'first'],
      [(data) => data, 'quotes'],
    ]
    for (const [thrown, shown] of failures) {
      const store = storeOver({
        write: (key, { data }) => {
          throw thrown(data, key)
        },
      })
      const error = await store.set('the-id', session).catch((error) => error)
      expect(error).toMatchObject(unavailable)
      const { inspect } = await import('node:util')
      const text = inspect(error, { depth: 10, showHidden: true })
      expect(text).toContain(shown)
      expect(text).not.toMatch(new RegExp(`a-long-secret|the-id|${key}`))
    }
  })

  test('keeps the code and the address of what could not be reached', async () => {
    const cause = Object.assign(new Error('connect ECONNREFUSED'), {
      code: 'ECONNREFUSED',
      syscall: 'connect',
      address: '127.0.0.1',
      port: 6379,
    })
    const store = storeOver({ read: () => Promise.reject(cause) })
    await expect(store.get('id')).rejects.toMatchObject({
      ...unavailable,
      cause: { message: 'connect ECONNREFUSED', code: 'ECONNREFUSED', address: '127.0.0.1', port: 6379 },
    })
  })
})
