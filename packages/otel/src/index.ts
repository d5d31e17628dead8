import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Operation } from '@session-stores/core'
import { Metrics } from './metrics.ts'
import { Spans } from './spans.ts'

/** Listed here so that core is not loaded at run time; the compiler says when one is missing. */
const OPERATIONS = Object.keys({
  get: true,
  set: true,
  destroy: true,
  touch: true,
  ping: true,
  prune: true,
  check: true,
  count: true,
  scan: true,
  clear: true,
  index: true,
  listByUser: true,
  destroyByUser: true,
} satisfies Record<Operation, true>)

/** Stops what is running. */
let running: (() => void) | undefined

/**
 * Makes OpenTelemetry spans and metrics of what all session stores in this process do, by the semantic conventions for
 * database clients. What is recorded is listed in the README; no session id, user id or session data is.
 *
 * They go to the tracer and meter providers that are registered with `@opentelemetry/api` when the first operation begins,
 * so it does not matter whether the SDK is started before or after this call. A second call changes nothing.
 *
 * @returns stops it. Spans of operations under way are then not ended, and so not exported
 */
export function instrument(): () => void {
  running ??= start()
  return running
}

function start(): () => void {
  const spans = new Spans()
  const metrics = new Metrics()
  const listeners: Array<[channel: string, listener: (message: unknown) => void]> = [
    ['session-stores.down', (message) => metrics.onDown(message)],
    ['session-stores.back', (message) => metrics.onBack(message)],
    ['session-stores.unopened', (message) => metrics.onUnopened(message)],
  ]
  for (const operation of OPERATIONS) {
    listeners.push([`tracing:session-stores.${operation}:start`, (message) => spans.onStart(message)])
    listeners.push([`tracing:session-stores.${operation}:asyncEnd`, (message) => spans.onEnd(message)])
    listeners.push([`tracing:session-stores.${operation}:asyncEnd`, (message) => metrics.onEnd(message)])
  }
  for (const [channel, listener] of listeners) subscribe(channel, listener)
  return () => {
    for (const [channel, listener] of listeners) unsubscribe(channel, listener)
    metrics.stop()
    running = undefined
  }
}
