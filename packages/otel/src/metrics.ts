import {
  type Attributes,
  type Counter,
  type Histogram,
  metrics,
  type ObservableGauge,
  type ObservableResult,
} from '@opentelemetry/api'
import type { BackMessage, DownMessage, OperationContext, UnopenedMessage } from '@session-stores/core'
import { operationAttributes, outcomeAttributes, partAttributes, storeAttributes } from './attributes.ts'
import { SCOPE } from './scope.ts'

/** In s, as the conventions ask for: https://opentelemetry.io/docs/specs/semconv/db/database-metrics/ */
const BOUNDARIES = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]

interface Instruments {
  duration: Histogram
  operations: Counter
  unopened: Counter
  up: ObservableGauge
}

/** A part of a store's server, or the whole of it. */
interface Part {
  attributes: Attributes
  /** How many stores of this name take it for down. */
  down: number
}

/** What operations took and came to, and which stores are up. */
export class Metrics {
  readonly #parts = new Map<string, Part>()
  #made: Instruments | undefined

  onEnd(message: unknown): void {
    const operation = message as OperationContext
    const { duration, operations } = this.#instruments
    const attributes = { ...operationAttributes(operation), ...outcomeAttributes(operation) }
    operations.add(1, attributes)
    if (operation.duration !== undefined) duration.record(operation.duration / 1000, attributes)
    this.#part({ ...operation, part: '' })
  }

  onDown(message: unknown): void {
    this.#part(message as DownMessage).down += 1
  }

  onBack(message: unknown): void {
    const part = this.#part(message as BackMessage)
    // An outage that began before anybody listened has not been counted.
    if (part.down > 0) part.down -= 1
  }

  onUnopened(message: unknown): void {
    this.#instruments.unopened.add(1, storeAttributes(message as UnopenedMessage))
  }

  stop(): void {
    this.#made?.up.removeCallback(this.#observe)
  }

  /** Made when they are first needed: what the API hands out before an SDK is registered records nothing for ever. */
  get #instruments(): Instruments {
    if (this.#made !== undefined) return this.#made
    const meter = metrics.getMeter(SCOPE)
    const made = {
      duration: meter.createHistogram('db.client.operation.duration', {
        description: 'Duration of database client operations.',
        unit: 's',
        advice: { explicitBucketBoundaries: BOUNDARIES },
      }),
      operations: meter.createCounter('session.store.operations', {
        description: 'Operations of session stores, by what they came to.',
        unit: '{operation}',
      }),
      unopened: meter.createCounter('session.store.unopened', {
        description: 'Sessions that were not sealed, or by none of the keys that the store has.',
        unit: '{session}',
      }),
      up: meter.createObservableGauge('session.store.up', {
        description:
          '1 while the server of a session store, or this part of it, answers; 0 while it is taken for down.',
      }),
    }
    made.up.addCallback(this.#observe)
    this.#made = made
    return made
  }

  readonly #observe = (result: ObservableResult): void => {
    for (const { attributes, down } of this.#parts.values()) result.observe(down === 0 ? 1 : 0, attributes)
  }

  /** Known from its first operation on, or, if it is one of several, from its first outage on. */
  #part(message: { store: string; name: string; part: string }): Part {
    const key = `${message.store}\0${message.name}\0${message.part}`
    let part = this.#parts.get(key)
    if (part === undefined) {
      part = { attributes: partAttributes(message), down: 0 }
      this.#parts.set(key, part)
    }
    return part
  }
}
