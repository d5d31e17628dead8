import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '@session-stores/testing'
import { expect } from 'vitest'
import { type RedisClient, RedisStore } from '../src/index.ts'
import { freshPrefix } from './drivers.ts'
import { Stalls } from './stalls.ts'

interface Failure {
  /** ms on the clock of `performance.now()` */
  begun: number
  /** ms, less what this process was not given by a busy machine */
  took: number
  error: { code?: string; statusCode?: number; cause?: unknown }
}

/** Users with a session each, who change it again and again. */
export class Load {
  readonly failures: Failure[] = []
  readonly store: RedisStore
  saved = 0
  /** Sessions that were said not to be there. */
  missing = 0
  readonly #counts: number[]
  readonly #stalls = new Stalls()
  #ended = false
  #work: Promise<unknown> = Promise.resolve()

  static async start(client: RedisClient, users = 12): Promise<Load> {
    const load = new Load(new RedisStore({ client, prefix: freshPrefix() }), users)
    await Promise.all(load.#counts.map((n, user) => load.store.set(`user${user}`, { n })))
    load.#work = Promise.all(load.#counts.map((_, user) => load.#use(user)))
    return load
  }

  private constructor(store: RedisStore, users: number) {
    this.store = store
    this.#counts = Array.from({ length: users }, () => 0)
  }

  async end(): Promise<void> {
    this.#ended = true
    await this.#work
    this.#stalls.stop()
  }

  /** Resolves when every user has saved again: the load is under way, or under way again. */
  async turns(): Promise<void> {
    const before = [...this.#counts]
    await until('every user has saved again', () => {
      if (this.#counts.every((n, user) => n > (before[user] as number))) return true
      throw new Error(`${this.missing} sessions missing, ${this.failures.length} failures`, {
        cause: this.failures.at(-1)?.error,
      })
    })
  }

  /** Outages are 503 in time, never "no session", and there is none for requests that began later than this. */
  expectOnlyUnavailable(until: number): void {
    for (const { error, took } of this.failures) {
      expect(error).toMatchObject({ code: 'SESSION_STORE_UNAVAILABLE', statusCode: 503 })
      expect(took).toBeLessThan(2100)
    }
    const late = this.failures.filter(({ begun }) => begun > until)
    expect(late, `no failure later than ${until}`).toEqual([])
    expect(this.missing).toBe(0)
  }

  /** Every save that was acknowledged is there. */
  async expectNothingLost(): Promise<void> {
    for (const [user, n] of this.#counts.entries()) {
      expect(await this.store.get(`user${user}`)).toMatchObject({ n })
    }
  }

  async #use(user: number): Promise<void> {
    const id = `user${user}`
    while (!this.#ended) {
      const begun = performance.now()
      const stalled = this.#stalls.total
      try {
        const session = await this.store.get(id)
        if (session === null) {
          this.missing += 1
          return
        }
        const n = (this.#counts[user] as number) + 1
        await this.store.set(id, { ...session, n })
        this.#counts[user] = n
        this.saved += 1
      } catch (error) {
        const took = performance.now() - begun - (this.#stalls.total - stalled)
        this.failures.push({ begun, took, error: error as Failure['error'] })
      }
      await sleep(5)
    }
  }
}

/** The load of all of them at once, while `act` happens. */
export async function underLoad(clients: RedisClient[], act: (loads: Load[]) => Promise<void>): Promise<void> {
  const loads = await Promise.all(clients.map((client) => Load.start(client)))
  try {
    await Promise.all(loads.map((load) => load.turns()))
    await act(loads)
  } finally {
    await Promise.all(loads.map((load) => load.end()))
  }
}
