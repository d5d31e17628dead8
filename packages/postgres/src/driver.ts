import { type Connection, Connections, type Limits, type PostgresPool, type PostgresResult } from './connections.ts'
import { isUnprepared } from './errors.ts'
import type { Statement } from './statements.ts'

/** Sends one more statement of a transaction. */
export type Run = (text: string, values?: (string | null)[]) => Promise<PostgresResult>

/** Every column as text, whatever parsers the application has set for its own queries. */
const asText = { getTypeParser: () => String }

/**
 * Runs statements on the application's pool. All values are text or null, which every build of the driver sends alike: a
 * Buffer, a Date or an array is encoded by whatever build it is.
 */
export class Driver {
  readonly #connections: Connections
  /** Whether statements may be prepared; undefined: on connections that lead straight to the server. */
  #prepare: boolean | undefined

  constructor(pool: PostgresPool, prepare: boolean | undefined) {
    this.#connections = Connections.of(pool)
    this.#prepare = prepare
  }

  /** Runs one statement. It may be sent again, so it must be one that can be repeated. */
  run({ text, name, reads = false }: Statement, values: (string | null)[], call: Limits): Promise<PostgresResult> {
    return this.#connections.use(call, reads, async (connection) => {
      if (name === undefined) return query(connection, text, values)
      const prepare = this.#prepare ?? connection.isDirect ?? (await isDirect(connection))
      try {
        return await query(connection, text, values, prepare ? name : undefined)
      } catch (error) {
        if (isUnprepared(error)) this.#prepare = false
        throw error
      }
    })
  }

  /** Runs statements as one transaction. */
  transaction(call: Limits, work: (run: Run) => Promise<void>): Promise<void> {
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

function query({ client }: Connection, text: string, values: (string | null)[] = [], name?: string) {
  return client.query({ text, values, ...(name !== undefined && { name }), rowMode: 'array', types: asText })
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
