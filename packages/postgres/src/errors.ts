import { createError } from '@fastify/error'

/**
 * The table is not there, or was made for another version of this package. The message says what to run. Status 503.
 */
export const SessionSchemaMismatch = createError<[string]>('SESSION_SCHEMA_MISMATCH', '%s', 503)

/** The pool's connections are made by a driver that the store does not work with. Status 500. */
export const SessionDriverUnsupported = createError<[]>(
  'SESSION_DRIVER_UNSUPPORTED',
  'the pool of the postgres session store makes connections with pg-native, which cannot cancel a query that was given ' +
    'up and answers it to somebody else: make the pool with new Pool() of pg, and unset NODE_PG_FORCE_NATIVE',
  500,
)

/** None begins with E, as Node's codes do: EPIPE has five letters too. */
const SQLSTATE = /^[0-9A-DF-Z][0-9A-Z]{4}$/

/** The SQLSTATE of an error that the server sent; undefined for any other error. */
export function sqlState(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' && SQLSTATE.test(code) ? code : undefined
}

/** Of a statement that lost against another one, and will do better a moment later: serialization, deadlock. */
const COLLISION = new Set(['40001', '40P01'])
/** Of a server that takes no writes: a standby, or one that is set to be read-only. */
const READ_ONLY = '25006'
/**
 * Of a connection that is of no more use: ended by an administrator, a crash or idle_session_timeout; the server is starting;
 * left in a failed transaction; with prepared statements that are gone, taken, or older than a change of the table.
 */
const LOST = new Set(['57P01', '57P02', '57P03', '57P05', '25P02', '26000', '42P05', '0A000'])
/** … of a prepared statement that is not there, or is there already: a pooler is in between after all. */
const UNPREPARED = new Set(['26000', '42P05'])

export type Trouble = 'collision' | 'read-only' | 'lost'

/** What the failure of work on a connection says of that connection; undefined: nothing. */
export function troubleOf(error: unknown): Trouble | undefined {
  if (error instanceof SessionSchemaMismatch) return undefined
  const state = sqlState(error)
  if (state === undefined || state.startsWith('08') || LOST.has(state)) return 'lost'
  if (state === READ_ONLY) return 'read-only'
  return COLLISION.has(state) ? 'collision' : undefined
}

export function isUnprepared(error: unknown): boolean {
  return UNPREPARED.has(sqlState(error) ?? '')
}

/** Whether the server refused what it was to store: wrong data, a constraint, or beyond a limit such as the depth of nesting. */
export function isOfTheValues(error: unknown): boolean {
  return /^(22|23|54)/.test(sqlState(error) ?? '')
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
