import { setTimeout as sleep } from 'node:timers/promises'
import { MemoryStore } from '@session-stores/core'
import { SqliteStore } from '@session-stores/sqlite'
import type { OpenedStore, Opener } from '../../src/app/opener.ts'

type Store = OpenedStore['store']
type Callback = (error?: unknown, session?: unknown) => void

/** What is wrong with a store, done to a good one by its public methods alone. */
const flaws = {
  'keeps sessions in its own process': () => new MemoryStore(),

  'loses changes, undoes log-outs, and fails with errors of its own': (good: Store) => {
    const [isToFail, isToBeLost] = [every(12), every(5)]
    return changed(good, {
      set(id, session, callback) {
        if (isChange(session) && isToFail()) callback(new Error('SQLITE_BUSY'))
        else if (isChange(session) && isToBeLost()) callback()
        else good.set(id, session, callback)
      },
      destroy: (_id, callback) => callback(),
    })
  },

  'takes an outage for no session, and answers after the deadline': (good: Store) => {
    const [isMiss, isLate] = [every(20), every(50)]
    return changed(good, {
      async get(id, callback) {
        if (isMiss()) return callback(null, null)
        if (isLate()) await sleep(4000)
        good.get(id, callback as never)
      },
    })
  },

  // As if its first answer had been lost on the way, and the second attempt met what the first had written
  'takes a replay for a conflict': (good: Store) =>
    changed(good, {
      set(id, session, callback) {
        const again = { ...session }
        good.set(id, session, (error) => (error ? callback(error) : good.set(id, again, callback)))
      },
    }),

  'waits for the whole deadline each time': (good: Store) =>
    changed(good, {
      set: (id, session, callback) => good.set(id, session, lateIfItFails(callback)),
      destroy: (id, callback) => good.destroy(id, lateIfItFails(callback)),
    }),

  'tells what it does, warns, stands still and never ends': (good: Store) => {
    const isToStandStill = every(5)
    return changed(good, {
      set(id, session, callback) {
        if (isChange(session) && isToStandStill()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500)
        good.set(id, session, callback)
      },
      destroy(id, callback) {
        console.log(`ending ${id}`)
        process.emitWarning('there is something wrong')
        setInterval(() => {}, 60_000)
        good.destroy(id, callback)
      },
    })
  },
} satisfies Record<string, (good: Store) => Store>

export type Flaw = keyof typeof flaws

export const open: Opener<{ path: string; flaw: Flaw }>['open'] = async ({ path, flaw }, options) => {
  const good = new SqliteStore({ path, ...options })
  return { store: flaws[flaw](good), close: () => good.close() }
}

interface Methods {
  get(id: string, callback: Callback): void
  set(id: string, session: object, callback: (error?: unknown) => void): void
  destroy(id: string, callback: (error?: unknown) => void): void
}

function changed(good: Store, methods: Partial<Methods>): Store {
  return {
    get: good.get.bind(good),
    set: good.set.bind(good),
    destroy: good.destroy.bind(good),
    close: good.close.bind(good),
    ...methods,
  } as Store
}

function lateIfItFails(callback: (error?: unknown) => void): (error?: unknown) => void {
  const deadline = sleep(1900)
  return (error) => (error ? deadline.then(() => callback(error)) : callback())
}

/** Answers true to every `n`th call: counted, and not left to chance, so that it happens under any load. */
function every(n: number): () => boolean {
  let calls = 0
  return () => {
    calls += 1
    return calls % n === 0
  }
}

/** Whether the user has changed something since the log-in, which itself must succeed for the load to begin. */
function isChange({ a = 0, b = 0 }: { a?: number; b?: number }): boolean {
  return a > 0 || b > 0
}
