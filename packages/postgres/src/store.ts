import {
  checkOptions,
  type OptionRules,
  SessionStore,
  type StoreOptions,
  storeRules,
  trueOrFalse,
  wrongOption,
} from '@session-stores/core'
import { PostgresBackend } from './backend.ts'
import { Database } from './database.ts'
import type { PostgresPool } from './driver.ts'
import { nameRule } from './identifiers.ts'
import type { SchemaOptions } from './migrations.ts'
import { Schema } from './schema.ts'

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
  migrateOnFirstUse?: boolean | undefined

  /**
   * Whether the server prepares the statements, once a connection, which makes them faster. `true`: always; only right
   * behind PgBouncer 1.21 or newer with `max_prepared_statements`. `false`: never.
   * @default on connections that lead straight to Postgres, not on those through a pooler
   */
  preparedStatements?: boolean | undefined
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
    check(options)
    const { pool, schema, table = 'sessions', unlogged = false, migrateOnFirstUse = false, ...others } = options
    const { preparedStatements, ...rest } = others
    const database = new Database(pool, preparedStatements)
    const state = new Schema(database, { schema, table, unlogged, migrateOnFirstUse })
    super(new PostgresBackend(database, state), rest)
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

const rules: OptionRules = {
  pool: {
    wants: 'a Pool of pg, which makes connections by itself, as in new Pool({ connectionString })',
    isRight: isPool,
  },
  schema: nameRule('schema'),
  table: nameRule('table'),
  unlogged: trueOrFalse,
  migrateOnFirstUse: trueOrFalse,
  preparedStatements: trueOrFalse,
  ...storeRules,
}

/** What other stores call these options. */
const elsewhere = {
  client: 'pool, a Pool of pg',
  conString: 'pool, a Pool of pg',
  conObject: 'pool, a Pool of pg',
  pgPromise: 'pool, a Pool of pg',
  tableName: 'table',
  schemaName: 'schema',
  createTableIfMissing: 'migrateOnFirstUse',
  disableTouch: 'touchInterval, in ms',
  pruneSessionInterval: 'pruneInterval, in ms',
  pruneSessionRandomizedInterval: 'pruneInterval, which always varies',
  errorLog: 'the diagnostics channels',
}

function check(options: PostgresStoreOptions): void {
  checkOptions(options, rules, elsewhere)
  if (options.pool === undefined) throw wrongOption('pool', rules.pool?.wants ?? '', undefined)
}

/** A Client can connect, too, but is one connection: only a Pool says how many it has. */
function isPool(value: unknown): boolean {
  const { connect, totalCount } = (value ?? {}) as Partial<PostgresPool>
  return typeof connect === 'function' && typeof totalCount === 'number'
}
