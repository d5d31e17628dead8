import { inspect } from 'node:util'
import { DEFAULT_TIMEOUT, SessionStore, type StoreOptions } from '@session-stores/core'
import { PostgresBackend } from './backend.ts'
import { Connections, type PostgresPool } from './connections.ts'
import { namesFor } from './identifiers.ts'
import { migrations, type SchemaOptions } from './migrations.ts'
import { Schema } from './schema.ts'
import { statementsFor } from './statements.ts'

export interface PostgresStoreOptions extends StoreOptions, SchemaOptions {
  /**
   * A `Pool` of `pg`. The application makes it, listens to its `'error'` event (without a listener the process ends when
   * the server ends an idle connection), and ends it; the store never does.
   */
  pool: PostgresPool

  /**
   * Makes or upgrades the table when the store is first used, and not only when `migrate()` is called. The pool's role
   * must be allowed to.
   * @default false
   */
  migrateOnFirstUse?: boolean

  /**
   * Whether the server prepares the statements, once a connection, which makes them faster. `true`: always; only right
   * behind PgBouncer 1.21 or newer with `max_prepared_statements`. `false`: never.
   * @default on connections that lead straight to Postgres, not on those through a pooler
   */
  preparedStatements?: boolean
}

/**
 * Keeps sessions in a table of Postgres 14 or newer, for any number of processes.
 *
 * @typeParam Session what the application keeps in a session; `Fastify.Session` for what `request.session` holds
 */
// biome-ignore lint/suspicious/noExplicitAny: see SessionStore
export class PostgresStore<Session extends object = any> extends SessionStore<Session> {
  readonly #schema: Schema

  /**
   * Connects to nothing yet.
   * @throws TypeError that names the wrong option
   */
  constructor(options: PostgresStoreOptions) {
    checkOptions(options)
    const { pool, schema, table = 'sessions', unlogged = false, migrateOnFirstUse = false, ...others } = options
    const { preparedStatements, ...rest } = others
    const names = namesFor(schema, table)
    const connections = new Connections(pool, options.timeout ?? DEFAULT_TIMEOUT, preparedStatements)
    const statements = statementsFor(names)
    const steps = migrations({ ...(schema !== undefined && { schema }), table, unlogged })
    const state = new Schema(connections, names, steps, statements.schemaVersion, migrateOnFirstUse)
    super(new PostgresBackend(connections, statements, state), rest)
    this.#schema = state
  }

  /**
   * Makes the table, or brings it up to what this version of the package needs; does nothing when it is. To be run when
   * the application is deployed, by a role that owns the table; many processes may do so at once. Takes up to a minute.
   * @throws the driver's error, or `SESSION_SCHEMA_MISMATCH` when the table is a newer one or not the store's
   */
  migrate(): Promise<void> {
    return this.#schema.migrate()
  }
}

function checkOptions(options: PostgresStoreOptions): void {
  if (typeof options !== 'object' || options === null) {
    // Not shown: it may be a connection string with a password.
    throw new TypeError(`options must be an object with a pool; got ${options === null ? 'null' : typeof options}`)
  }
  const { pool } = options
  if (typeof pool?.connect !== 'function') throw wrong('pool', 'a Pool of pg', pool)
  for (const name of ['unlogged', 'migrateOnFirstUse', 'preparedStatements'] as const) {
    const value: unknown = options[name]
    if (value !== undefined && typeof value !== 'boolean') throw wrong(name, 'true or false', value)
  }
}

function wrong(name: string, wants: string, value: unknown): TypeError {
  return new TypeError(`${name} must be ${wants}; got ${inspect(value, { depth: 0 })}`)
}
