import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { OperationContext } from './stores.ts'

const channels = ['get', 'set', 'destroy'].map((operation) => `tracing:session-stores.${operation}:asyncEnd`)

/**
 * Counts what the session store did since the start, from the tracing channels that every store publishes on. The same
 * few lines feed a metrics library.
 */
export class Activity {
  readonly #counts = new Map<string, number>()
  readonly #count = (message: unknown) => {
    const { operation, outcome } = message as OperationContext
    const name = `${operation} ${outcome}`
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }

  start(): void {
    for (const channel of channels) subscribe(channel, this.#count)
  }

  stop(): void {
    for (const channel of channels) unsubscribe(channel, this.#count)
  }

  /** How often this came of an operation, by names such as `set skipped`. */
  of(name: string): number {
    return this.#counts.get(name) ?? 0
  }
}
