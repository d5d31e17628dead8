import {
  type Connection,
  Connections,
  type PostgresPool,
  type PostgresResult,
  type StatementCall,
} from './connections.ts'
import type { Statement } from './statements.ts'

type Values = (string | null)[]

/** Sends one more statement of a transaction. */
export type Run = (text: string, values?: Values) => Promise<PostgresResult>

/** Every column as text, whatever parsers the application has set for its own queries. */
const asText = { getTypeParser: () => String }

/**
 * Runs statements on the application's pool. All values are text or null, which every build of the driver sends alike: a
 * Buffer, a Date or an array is encoded by whatever build it is.
 */
export class Driver {
  readonly #connections: Connections
  /** Whether statements are to be prepared; undefined: on connections that lead straight to the server. */
  readonly #prepares: boolean | undefined

  constructor(pool: PostgresPool, prepares: boolean | undefined) {
    this.#connections = Connections.of(pool)
    this.#prepares = prepares
  }

  /** Runs one statement. It may be sent again, so it must be one that can be repeated. */
  run({ text, name, reads = false }: Statement, values: Values, call: StatementCall): Promise<PostgresResult> {
    return this.#connections.use(call, reads, (connection) => {
      const prepares = !this.#connections.losesStatements && (this.#prepares ?? connection.isDirect)
      if (name === undefined || prepares === false) return query(connection, text, values)
      if (prepares) return query(connection, text, values, name)
      return isDirect(connection).then((direct) => query(connection, text, values, direct ? name : undefined))
    })
  }

  /** Runs statements as one transaction. */
  transaction(call: StatementCall, work: (run: Run) => Promise<void>): Promise<void> {
    return this.#connections.use(call, false, async (connection) => {
      const run: Run = (text, values) => query(connection, text, values)
      await run('begin isolation level read committed') // stricter ones would not see what was done while we waited
      try {
        await work(run)
        await run('commit')
      } catch (error) {
        await run('rollback').catch(() => {}) // a lost connection takes its transaction along
        throw error
      }
    })
  }
}

function query({ client }: Connection, text: string, values: Values = [], name?: string): Promise<PostgresResult> {
  const query = { text, values, name, rowMode: 'array', types: asText } as const
  return new Promise((resolve, reject) => {
    client.query(query, (error, result) => (error ? reject(error) : resolve(result)))
  })
}

/**
 * Whether the server at the other end is Postgres itself: then the connection's number is its process. A pooler like
 * PgBouncer makes up a number, and may hand each transaction to another connection, where a statement that was prepared on
 * the last one is not known.
 */
async function isDirect(connection: Connection): Promise<boolean> {
  const { rows } = await query(connection, 'select pg_backend_pid()')
  connection.isDirect = rows[0]?.[0] === String(connection.client.processID)
  return connection.isDirect
}
