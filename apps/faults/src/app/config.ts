import type { StoreOptions } from '@session-stores/core'

/** What an application process is told on its command line, as JSON. */
export interface AppConfig {
  /** The URL of the module that opens its store: one of `openers`. */
  opener: string
  /** For that module: where the server is. */
  settings: unknown
  options: StoreOptions
  /** 0 for any free port. */
  port: number
  /** So many bytes go into each session. */
  bytes: number
  /** Merges sessions as the store would by itself, and counts how often that was asked for. */
  countConflicts: boolean
}

/** In each answer: how long the event loop has stood still since the process began, in ms. */
export const STALLED_HEADER = 'x-stalled'

/** A host name that only the applications know: their resolver can be made to fail. */
export const HOST = 'server.faults.test'

export type Resolver = 'works' | 'gone' | 'slow'

/** What an application process says of itself. */
export interface AppReport {
  /** Sockets that keep the process alive. */
  sockets: number
  /** Timers that keep the process alive. */
  timers: number
  /** Bytes on the heap and in buffers, after a garbage collection. */
  memory: number
  /** The longest that the event loop stood still since the last report, waits for a processor apart, in ms. */
  loopStall: number
  /** How often a save met another writer's. Only with `countConflicts`. */
  conflicts: number
}

/** What can be asked of an application process, besides requests. */
export interface AppCommands {
  report: (nothing: null) => AppReport
  /** Stops the event loop for so many ms. */
  block: (ms: number) => void
  /** Puts the clock of the process off by so many ms. */
  setClockOff: (ms: number) => void
  setResolver: (resolver: Resolver) => void
}

/** What an application process sends. */
export type AppMessage = { listening: number } | { warning: string } | { id: number; answer?: unknown }

/** What it is sent. */
export interface AppCommand {
  id: number
  name: keyof AppCommands
  argument: unknown
}
