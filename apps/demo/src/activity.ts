import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { EventEmitter } from 'node:events'
import type { BackMessage, DownMessage, OperationContext } from './stores/index.ts'

const OPERATIONS = ['get', 'set', 'destroy', 'touch', 'listByUser', 'destroyByUser', 'count', 'prune', 'ping']
const LINES = 50
const SECONDS = 60

/** What an operation came to, for people. */
const WORDS: Record<string, string> = {
  'get hit': 'Read a session',
  'get miss': 'Looked for a session that is not there',
  'get expired': 'Found a session past its end',
  'get adopted': 'Took a session over from another store',
  'get unreadable': 'Found something that is no session',
  'set skipped': 'Saved a session: nothing had changed, so nothing was written',
  'set touched': 'Saved a session: only its end moved',
  'set written': 'Saved a session: written',
  'set merged': 'Saved a session: merged with what another request had changed',
  'set dropped': 'Refused to save a session that was ended meanwhile',
  'destroy removed': 'Ended a session',
  'destroy miss': 'Was to end a session that had ended already',
  'listByUser done': 'Listed the sessions of a user',
  'destroyByUser done': 'Ended the sessions of a user',
}

/** One thing that the store did. */
export interface Line {
  /** ms since the epoch, when it was done */
  at: number
  /** Such as `set skipped`. */
  name: string
  words: string
  /** How long it took, in ms; of a server that is back, how long it was away. */
  duration: number | undefined
}

/** How much happened in one second. */
export interface Second {
  reads: number
  /** Saves and ends that reached the server. */
  writes: number
  /** Saves that nothing had to be written for. */
  skips: number
  errors: number
}

/**
 * What the session stores of this process do, from the tracing channels that every store publishes on. A few lines like
 * these feed a metrics library. Emits `line` for each.
 */
export class Activity extends EventEmitter<{ line: [Line] }> {
  readonly #counts = new Map<string, number>()
  readonly #lines: Line[] = []
  readonly #seconds = new Map<number, Second>()
  readonly #subscriptions = new Map<string, (message: unknown) => void>()

  constructor() {
    super()
    this.setMaxListeners(0) // one for each page that watches
    for (const operation of OPERATIONS) {
      this.#subscriptions.set(`tracing:session-stores.${operation}:asyncEnd`, (message) => {
        const { operation, outcome = 'done', duration } = message as OperationContext
        this.#add(`${operation} ${outcome}`, duration)
      })
    }
    this.#subscriptions.set('session-stores.down', (message) => {
      this.#add('down', undefined, `Took the server for down ${(message as DownMessage).part}`)
    })
    this.#subscriptions.set('session-stores.back', (message) => {
      const { part, duration } = message as BackMessage
      this.#add('back', duration, `The server is back ${part}`)
    })
  }

  start(): void {
    for (const [channel, listener] of this.#subscriptions) subscribe(channel, listener)
  }

  stop(): void {
    for (const [channel, listener] of this.#subscriptions) unsubscribe(channel, listener)
  }

  /** How often this came of an operation, by names such as `set skipped`. */
  of(name: string): number {
    return this.#counts.get(name) ?? 0
  }

  /** By name, how often each came. */
  get counts(): Record<string, number> {
    return Object.fromEntries(this.#counts)
  }

  /** The latest, newest first. */
  get lines(): Line[] {
    return this.#lines.toReversed()
  }

  /** The last minute, second by second, this one last. */
  lastMinute(now = Date.now()): Second[] {
    const current = Math.floor(now / 1000)
    const nothing = { reads: 0, writes: 0, skips: 0, errors: 0 }
    return Array.from({ length: SECONDS }, (_, i) => this.#seconds.get(current - SECONDS + 1 + i) ?? nothing)
  }

  #add(name: string, duration: number | undefined, words = WORDS[name] ?? name): void {
    const line = { at: Date.now(), name, words: words.trim(), duration }
    this.#counts.set(name, this.of(name) + 1)
    this.#lines.push(line)
    if (this.#lines.length > LINES) this.#lines.shift()
    this.#countInSecond(line)
    this.emit('line', line)
  }

  #countInSecond({ at, name }: Line): void {
    const current = Math.floor(at / 1000)
    let second = this.#seconds.get(current)
    if (!second) {
      second = { reads: 0, writes: 0, skips: 0, errors: 0 }
      this.#seconds.set(current, second)
      for (const old of this.#seconds.keys()) if (old <= current - SECONDS) this.#seconds.delete(old)
    }
    if (name.endsWith('error')) second.errors += 1
    else if (name.startsWith('get')) second.reads += 1
    else if (name === 'set skipped') second.skips += 1
    else if (/^(set|touch|destroy)/.test(name)) second.writes += 1
  }
}
