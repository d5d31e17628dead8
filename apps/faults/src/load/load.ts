import { setTimeout as sleep } from 'node:timers/promises'
import type { AppProcess } from '../app-process.ts'
import type { Heartbeat } from '../heartbeat.ts'
import { Ledger } from './ledger.ts'
import { type Habits, User } from './user.ts'

export interface LoadOptions extends Habits {
  users: number
  /** How long a user rests between two requests, at most, in ms. */
  rest: number
  /** How long is waited until they are served again after a fault, in ms. */
  longestRecovery: number
}

export const usualLoad: LoadOptions = {
  users: 20,
  rest: 160,
  longestRecovery: 25_000,
  changes: 0.3,
  logsOut: true,
  overlaps: true,
}

/** After so many ms with requests that are served, and none that fails, all is well again. */
const QUIET = 1500

/** Users that go on and on, until they are told to rest. */
export class Load {
  readonly ledger = new Ledger()
  readonly #apps: readonly AppProcess[]
  readonly #newUser: (name: string) => User
  readonly #users: User[]
  readonly #rest: number
  readonly #longestRecovery: number
  #running: Promise<unknown> | undefined
  #stopping = false

  constructor(apps: readonly AppProcess[], options: LoadOptions, heartbeat: Heartbeat) {
    this.#apps = apps
    this.#rest = options.rest
    this.#longestRecovery = options.longestRecovery
    this.#newUser = (name) => new User(name, apps, options, this.ledger, heartbeat)
    this.#users = Array.from({ length: options.users }, (_, n) => this.#newUser(`user${n}`))
  }

  async logIn(): Promise<void> {
    const loggedIn = await Promise.all(this.#users.map((user) => user.logIn()))
    if (!loggedIn.every(Boolean)) throw new Error(`nobody can log in: ${this.#apps[0]?.output.slice(-2000)}`)
  }

  start(): void {
    this.#stopping = false
    this.#running = Promise.all(
      this.#users.map(async (user) => {
        while (!this.#stopping) {
          await sleep(Math.random() * this.#rest)
          await user.act()
        }
      }),
    )
  }

  /** Nobody begins anything new. */
  stop(): void {
    this.#stopping = true
  }

  /** Resolves when no request is under way any more, and the browsers have closed their connections. */
  async pause(): Promise<void> {
    this.stop()
    await this.#running
    for (const app of this.#apps) app.hangUp()
  }

  /** So many reads at once, which make the drivers open all the connections that they may. */
  async burst(reads: number): Promise<void> {
    await Promise.all(Array.from({ length: reads }, (_, n) => this.#users[n % this.#users.length]?.read()))
  }

  /** So many log in who were not there before, and do nothing else. */
  async newcomers(count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, (_, n) => this.#newUser(`newcomer${n}`).logIn()))
  }

  /** Resolves when requests have been served for a while and none has failed, or clearly never will be. */
  async recovered(): Promise<void> {
    const begun = performance.now()
    const { samples } = this.ledger
    const isWell = () => {
      const lastFailure = samples.findLastIndex(({ status }) => status !== 200 && status !== 401)
      const served = samples.slice(lastFailure + 1).find(({ status, ended }) => status === 200 && ended >= begun)
      return served !== undefined && performance.now() > served.ended + QUIET
    }
    while (!isWell() && performance.now() < begun + this.#longestRecovery) await sleep(50)
  }

  /** Compares all that was acknowledged with what is there. */
  async check(): Promise<void> {
    await Promise.all(this.#users.map((user) => user.check()))
  }
}
