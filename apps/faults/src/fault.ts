import type { StoreOptions } from '@session-stores/core'
import type { AppProcess } from './app-process.ts'
import type { Expectation } from './expectation.ts'
import type { Load, LoadOptions } from './load/load.ts'
import type { TcpProxy } from './proxy.ts'

/** What every fault may use. */
export interface Scene {
  apps: readonly [AppProcess, AppProcess]
  load: Load
  /** Says that the server has forgotten now, or gone back: what is acknowledged from here on must hold. */
  forgot(): void
}

/** Where a network of our own is between the applications and the server. */
export interface Network {
  proxy: TcpProxy
}

/** How a server is started for one cell: what its faults need differs from store to store. */
export interface Stage {
  /** The URL of the module with which the applications open their store, and what that is told. */
  opener: string
  settings: unknown
  stop(): Promise<unknown>
}

/**
 * @typeParam Extra what a scene of this store has besides
 * @typeParam Setup what its server can be started with; every part of it is optional
 */
export interface Fault<Extra = unknown, Setup = object> {
  /** In words, for the page. */
  what: string
  /** Does it, and undoes it: once it resolves, the store should work again. */
  run(scene: Scene & Extra): Promise<void>
  setup?: Setup
  options?: StoreOptions
  load?: Partial<LoadOptions>
  /** So many bytes in each session. */
  bytes?: number
  /** No session has two writers at a time, so that a save never meets another one's: counted. */
  onlyWriter?: boolean
  /** Where it differs from what is usual. */
  expect?: Partial<Expectation>
  /** What this machine must allow. */
  needs?: 'root' | 'Linux'
  /** The variable that leaves it out besides those of the store. */
  skip?: string
}

export type Faults<Extra = unknown, Setup = object> = Record<string, Fault<Extra, Setup>>

/** A store, or one way to run its server, with all that can happen to it. */
export interface Subject<Extra, Setup> {
  name: string
  /** For the page: what it is, and what the server itself cannot promise. */
  about: string
  /** The variables that leave it out, as in `npm test`. */
  skip: string[]
  start(setup: Setup): Promise<Stage & Extra>
  faults: Faults<Extra, Setup>
}
