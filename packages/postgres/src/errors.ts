import { createError } from '@fastify/error'

/**
 * The table is not there, or was made for another version of this package. The message says what to run. Looked for
 * again at the next use, so nothing needs a restart. Status 503.
 */
export const SessionSchemaMismatch = createError<[string]>('SESSION_SCHEMA_MISMATCH', '%s', 503)

/** None begins with E, as Node's codes do: EPIPE has five letters too. */
const SQLSTATE = /^[0-9A-DF-Z][0-9A-Z]{4}$/

/** The SQLSTATE of an error that the server sent; undefined for any other error. */
export function sqlState(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' && SQLSTATE.test(code) ? code : undefined
}

/** Classes of SQLSTATE that are about the server, the connection or the statement, and so never quote a value. */
const ABOUT_THE_SERVER = /^(08|0A|25|26|28|3D|3F|40|42|53|54|55|57|58|XX)/

/**
 * The driver's error without what may quote a record: `detail`, `where`, the query. Those of the network, which hold no
 * record, stay as they are.
 */
export function withoutData(error: unknown): unknown {
  const code = sqlState(error)
  if (code === undefined) return error
  const message = ABOUT_THE_SERVER.test(code) ? (error as Error).message : 'the server refused the values'
  return Object.assign(new Error(`${message} (SQLSTATE ${code})`), { code })
}
