import type { Cancellable } from './cancel.ts'

// All that is known of `pg`, of its documented surface but for what cancelling needs.

/** What the store uses of a `Pool` of `pg`. */
export interface PostgresPool {
  connect(callback: (error: Error | undefined, client: PostgresClient | undefined) => void): void
  on(event: 'connect', listener: (client: PostgresClient) => void): unknown
  listenerCount(event: 'error'): number
  readonly totalCount: number
  readonly options?: { readonly max?: number }
}

/** What the store uses of a client that such a pool lends. */
export interface PostgresClient extends Cancellable {
  query(query: PostgresQuery, callback: (error: Error, result: PostgresResult) => void): void
  release(destroy?: boolean): void
  getTransactionStatus?(): string | null
  on(event: 'error', listener: () => void): unknown
  removeListener(event: 'error', listener: () => void): unknown
  /** Only a client of pg-native has it. */
  readonly native?: unknown
}

export interface PostgresQuery {
  text: string
  values: Values
  name: string | undefined
  rowMode: 'array'
  types: { getTypeParser(): (value: unknown) => string }
}

export interface PostgresResult {
  rows: (string | null)[][]
  rowCount: number | null
}

export type Values = (string | null)[]

/** Every column as text, whatever parsers the application has set for its own queries. */
const asText = { getTypeParser: () => String }

/**
 * Sends one statement. All values are text or null, which every build of the driver sends alike: a Buffer, a Date or an
 * array is encoded by whatever build it is.
 * @param name to have it prepared
 */
export function query(
  client: PostgresClient,
  text: string,
  values: Values = [],
  name?: string,
): Promise<PostgresResult> {
  const query = { text, values, name, rowMode: 'array', types: asText } as const
  return new Promise((resolve, reject) => {
    client.query(query, (error, result) => (error ? reject(error) : resolve(result)))
  })
}

/** An array as the server reads it, for a parameter: of whatever type the statement says. */
export function arrayOf(values: Values): string {
  return `{${values.map(elementOf).join()}}`
}

function elementOf(value: string | null): string {
  return value === null ? 'NULL' : `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

/**
 * Takes over a client, in the very callback in which the pool hands it over: the server's goodbye may be in the packet that
 * is being read. Unheard, a lost connection would end the process; the query under way is told of it as well.
 */
export function hold(client: PostgresClient): void {
  client.on('error', ignore)
}

/** @param destroy whether its connection is of no more use */
export function release(client: PostgresClient, destroy = false): void {
  client.release(destroy)
  client.removeListener('error', ignore)
}

/** Whether its last user left it in a transaction. `pg` says so from 8.21 on. */
export function isInTransaction(client: PostgresClient): boolean {
  return (client.getTransactionStatus?.() ?? 'I') !== 'I'
}

/**
 * Whether the server at the other end is Postgres itself: then the connection's number is its process. A pooler like
 * PgBouncer makes up a number, and may hand each transaction to another connection, where a statement that was prepared on
 * the last one is not known.
 */
export async function isDirect(client: PostgresClient): Promise<boolean> {
  const { rows } = await query(client, 'select pg_backend_pid()')
  return rows[0]?.[0] === String(client.processID)
}

function ignore(): void {}
