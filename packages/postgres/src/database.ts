import { type Connection, Connections, type StatementCall } from './connections.ts'
import { isDirect, type PostgresPool, type PostgresResult, query, type Values } from './driver.ts'
import type { Statement } from './statements.ts'

/** Sends one more statement of a transaction. */
export type Run = (text: string, values?: Values) => Promise<PostgresResult>

/** Runs statements on the application's pool. */
export class Database {
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
      if (name === undefined) return query(connection.client, text, values)
      const prepares = this.#mayPrepare(connection)
      if (prepares !== undefined) return query(connection.client, text, values, prepares ? name : undefined)
      return isDirect(connection.client).then((direct) => {
        connection.isDirect = direct
        return query(connection.client, text, values, direct ? name : undefined)
      })
    })
  }

  /** Whether there is a pooler in between, because of which no statement is prepared. */
  sendsWhole(call: StatementCall): Promise<boolean> {
    return this.#connections.use(call, true, async (connection) => {
      connection.isDirect ??= await isDirect(connection.client)
      return !connection.isDirect && !this.#mayPrepare(connection)
    })
  }

  /** Runs statements as one transaction. */
  transaction(call: StatementCall, work: (run: Run) => Promise<void>): Promise<void> {
    return this.#connections.use(call, false, async ({ client }) => {
      const run: Run = (text, values) => query(client, text, values)
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

  /** Undefined: that must be asked first. */
  #mayPrepare({ isDirect }: Connection): boolean | undefined {
    return this.#connections.losesStatements ? false : (this.#prepares ?? isDirect)
  }
}
