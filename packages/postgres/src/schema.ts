import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { TryAgain } from '@session-stores/core'
import type { StatementCall } from './connections.ts'
import type { Database, Run } from './database.ts'
import { SessionSchemaMismatch, sqlState } from './errors.ts'
import { type Names, namesFor } from './identifiers.ts'
import { migrations, SCHEMA_VERSION } from './migrations.ts'
import { type Statements, statementsFor } from './statements.ts'

/** How long a migration may take, in ms, waiting for other processes' included. */
const MIGRATION_TIMEOUT = 60_000

/** SQLSTATEs of a table, a column or a schema that is not there. */
const NOT_THERE = ['42P01', '42703', '3F000']
/** … of a table that is there already. */
const DUPLICATE_TABLE = '42P07'
/** … of a role that may not. */
const NOT_ALLOWED = '42501'
/** For one migration at a time in a database: two that make their schema would trip over each other, too. */
const LOCK = createHash('sha256').update('session-stores migrations').digest().readBigInt64BE().toString()

/** The options of a store that are about its table. */
export interface TableOptions {
  schema: string | undefined
  table: string
  unlogged: boolean
  migrateOnFirstUse: boolean
}

/**
 * Finds the table, or makes it. Once found, every statement names its schema: whatever `search_path` somebody leaves on a
 * connection, the store's table is the same, and none is made besides.
 */
export class Schema {
  readonly #database: Database
  /** With the schema, once it is known. */
  #options: TableOptions
  #names: Names
  #migrating: Promise<void> | undefined
  /** For the table, once it was found and is the right one. */
  statements: Statements | undefined

  /** @throws TypeError when a name cannot be one */
  constructor(database: Database, options: TableOptions) {
    this.#database = database
    this.#options = options
    this.#names = namesFor(options.schema, options.table)
  }

  get names(): Names {
    return this.#names
  }

  /** Whether the store is to make it without a write-ahead log. */
  get unlogged(): boolean {
    return this.#options.unlogged
  }

  get isMadeOnFirstUse(): boolean {
    return this.#options.migrateOnFirstUse
  }

  /** Looks for the table. Where that fails, the next use looks again. */
  async find(call: StatementCall): Promise<Statements> {
    const version = await this.version(call)
    if (version < SCHEMA_VERSION && this.#options.migrateOnFirstUse) {
      await this.#migrateOnce().catch((error) => {
        if (sqlState(error) !== NOT_ALLOWED) throw error
        throw Object.assign(this.#mismatch(version, '; this one may not'), { cause: error })
      })
    } else if (version !== SCHEMA_VERSION) throw this.#mismatch(version)
    return this.#found()
  }

  /** What to tell the caller of a statement that failed with this error; the table may have gone since it was found. */
  explain(error: unknown): unknown {
    return NOT_THERE.includes(sqlState(error) ?? '') ? this.#mismatch(0, '') : error
  }

  async migrate(): Promise<void> {
    try {
      await this.#migrateOnce()
    } catch (error) {
      throw error instanceof TryAgain ? error.cause : error
    }
    this.#found()
  }

  #found(): Statements {
    this.statements ??= statementsFor(this.#names)
    return this.statements
  }

  #migrateOnce(): Promise<void> {
    this.#migrating ??= this.#migrate().finally(() => {
      this.#migrating = undefined
    })
    return this.#migrating
  }

  async #migrate(): Promise<void> {
    const signal = AbortSignal.timeout(MIGRATION_TIMEOUT)
    const call: StatementCall = {
      get isOver() {
        return signal.aborted
      },
      watch: (listener) => signal.addEventListener('abort', listener),
      unwatch: (listener) => signal.removeEventListener('abort', listener),
      attempt: 1,
      note() {},
    }
    const work = async () => {
      if ((await this.version(call)) === SCHEMA_VERSION) return
      await this.#database.transaction(call, (run) => this.#migrateIn(run))
    }
    // The pool may have no connection to lend, for ever.
    const timedOut = once(signal, 'abort').then(() => Promise.reject(signal.reason))
    await Promise.race([work(), timedOut])
  }

  async #migrateIn(run: Run): Promise<void> {
    // Of many processes that start at once one does the work, and the others then find it done. Ends with the transaction.
    await run('select pg_advisory_xact_lock($1)', [LOCK])
    const { schema } = this.#names
    // Not "if not exists": that wants the right to create a schema even when there is one.
    if (schema !== undefined && !(await isThere(run, 'namespace', schema))) await run(`create schema ${schema}`)
    const version = (await isThere(run, 'class', this.#names.migrations)) ? await this.#notedVersion(run) : 0
    if (version > SCHEMA_VERSION) throw this.#mismatch(version)
    for (const { sql } of migrations(this.#options).slice(version)) {
      await run(sql).catch((error) => {
        throw sqlState(error) === DUPLICATE_TABLE ? this.#notOurs() : error
      })
    }
    await this.#locate(run)
  }

  async #notedVersion(run: Run): Promise<number> {
    const { plain, table } = this.#names
    // Nothing is dropped here: by its name it may be somebody else's.
    if (!(await isThere(run, 'class', table))) {
      throw new SessionSchemaMismatch(
        `there is a table ${plain}_migrations and no table ${plain}: drop it too, and run store.migrate()`,
      )
    }
    const version = Number((await run(versionOf(this.#names))).rows[0]?.[0])
    if (version > 0) return version
    throw new SessionSchemaMismatch(
      `the table ${plain}_migrations is empty: drop it and the table ${plain}, and run store.migrate()`,
    )
  }

  /** What the table has; 0 when there is none. Makes nothing. */
  async version(call: StatementCall): Promise<number> {
    const run: Run = (text, values = []) => this.#database.run({ text, reads: true }, values, call)
    try {
      if (!(await this.#locate(run))) return 0
      const { rows } = await run(versionOf(this.#names))
      return Number(rows[0]?.[0])
    } catch (error) {
      if (NOT_THERE.includes(sqlState(error) ?? '')) return 0
      throw error
    }
  }

  /** Finds out in which schema the table is, by the other one, which nobody else makes. False when there is none. */
  async #locate(run: Run): Promise<boolean> {
    if (this.#names.schema !== undefined) return true
    const { rows } = await run(
      'select nspname from pg_class join pg_namespace n on n.oid = relnamespace where pg_class.oid = to_regclass($1)',
      [this.#names.migrations],
    )
    const schema = rows[0]?.[0]
    if (!schema) return false
    this.#options = { ...this.#options, schema }
    this.#names = namesFor(schema, this.#options.table)
    return true
  }

  #notOurs(): Error {
    return new SessionSchemaMismatch(
      `there is a table ${this.#names.plain} that the postgres session store did not make: give the store another name in its option table`,
    )
  }

  #mismatch(version: number, otherwise = ', or set migrateOnFirstUse'): Error {
    const { plain, schema } = this.#names
    if (version > SCHEMA_VERSION) {
      return new SessionSchemaMismatch(
        `the table ${plain} has schema version ${version}, and this version of @session-stores/postgres knows only ${SCHEMA_VERSION}: update the package`,
      )
    }
    const where = schema === undefined ? ' in the search_path of the connection' : ''
    const state =
      version === 0 ? `is not there${where}` : `has schema version ${version}, and ${SCHEMA_VERSION} is needed`
    return new SessionSchemaMismatch(
      `the table ${plain} of the postgres session store ${state}: run store.migrate() with a role that may create it${otherwise}`,
    )
  }
}

/** An error, too, when the other table is not there. */
function versionOf({ table, migrations }: Names): string {
  return `select coalesce(max(version), 0)::text, (select 1 from ${table} limit 0) from ${migrations}`
}

/**
 * Asks the catalog itself, which makes the server take in what others did while we waited for the lock: the look-up alone
 * would answer from what this connection remembers.
 */
async function isThere(run: Run, what: 'class' | 'namespace', name: string): Promise<boolean> {
  const { rows } = await run(`select exists (select from pg_${what} where oid = to_reg${what}($1))::text`, [name])
  return rows[0]?.[0] === 'true'
}
