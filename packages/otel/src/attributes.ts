import type { Attributes } from '@opentelemetry/api'

// Those of the conventions: https://opentelemetry.io/docs/specs/semconv/db/database-spans/
const DB_SYSTEM_NAME = 'db.system.name'
const DB_OPERATION_NAME = 'db.operation.name'
const ERROR_TYPE = 'error.type'
// Our own.
const OUTCOME = 'session.outcome'
const STORE_NAME = 'session.store.name'
const STORE_PART = 'session.store.part'
const BATCH_SIZE = 'session.batch.size'

/** Where the conventions have another name for a database than its store; they leave the name of others to us. */
const SYSTEMS: Readonly<Record<string, string>> = { postgres: 'postgresql' }

export function storeAttributes({ store, name }: { store: string; name: string }): Attributes {
  return { [DB_SYSTEM_NAME]: SYSTEMS[store] ?? store, [STORE_NAME]: name }
}

/** Of a part of the server that is down or back. A server without parts has an empty one. */
export function partAttributes(message: { store: string; name: string; part: string }): Attributes {
  const attributes = storeAttributes(message)
  return message.part === '' ? attributes : { ...attributes, [STORE_PART]: message.part }
}

/** What is known when an operation begins, and decides on whether it is sampled. */
export function operationAttributes(message: { store: string; name: string; operation: string }): Attributes {
  return { ...storeAttributes(message), [DB_OPERATION_NAME]: message.operation }
}

/** What is known when it has ended. */
export function outcomeAttributes({ outcome, error }: { outcome?: string; error?: unknown }): Attributes {
  const attributes: Attributes = { [OUTCOME]: outcome }
  if (outcome === 'error') attributes[ERROR_TYPE] = errorTypeOf(error)
  return attributes
}

export function batchAttributes({ batchSize }: { batchSize?: number }): Attributes {
  return batchSize === undefined ? {} : { [BATCH_SIZE]: batchSize }
}

/**
 * The code of an error of core, else the class of the application's own, which its `onConflict` or `userOf` threw. Never a
 * message: that may quote session data.
 */
function errorTypeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code
  if (typeof code === 'string' && code.startsWith('SESSION_')) return code
  return (error instanceof Error && error.constructor.name) || '_OTHER'
}
