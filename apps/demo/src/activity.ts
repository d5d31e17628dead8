import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { OperationMessage } from './stores.ts'

/**
 * Counts what the session store did since the start, from the messages every store publishes on
 * node:diagnostics_channel. The same few lines feed a metrics library.
 */
export class Activity {
  readonly #counts = new Map<string, number>()
  readonly #count = (message: unknown, channel: string | symbol) => {
    const operation = String(channel).slice('session-stores:'.length)
    const name = `${operation} ${(message as OperationMessage).outcome}`
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }

  start(): void {
    for (const operation of ['get', 'set', 'destroy']) subscribe(`session-stores:${operation}`, this.#count)
  }

  stop(): void {
    for (const operation of ['get', 'set', 'destroy']) unsubscribe(`session-stores:${operation}`, this.#count)
  }

  /** How often this came of an operation, by names such as `set skipped`. */
  of(name: string): number {
    return this.#counts.get(name) ?? 0
  }
}
