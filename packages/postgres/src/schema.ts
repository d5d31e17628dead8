import { createHash } from 'node:crypto'
import type { Connections, Run } from './connections.ts'
import { SessionSchemaMismatch, sqlState } from './errors.ts'
import type { Names } from './identifiers.ts'
import { type Migration, SCHEMA_VERSION } from './migrations.ts'
import type { Statement } from './statements.ts'

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

/** Sees to it that the table is there before the first statement. A failure is forgotten: the next use looks again. */
export class Schema {
  readonly #connections: Connections
  readonly #names: Names
  readonly #migrations: Migration[]
  readonly #versionStatement: Statement
  readonly #migrateOnFirstUse: boolean
  #ready = false
  #looking: Promise<void> | undefined

  constructor(
    connections: Connections,
    names: Names,
    migrations: Migration[],
    versionStatement: Statement,
    migrateOnFirstUse: boolean,
  ) {
    this.#connections = connections
    this.#names = names
    this.#migrations = migrations
    this.#versionStatement = versionStatement
    this.#migrateOnFirstUse = migrateOnFirstUse
  }

  /** Nothing to wait for once it was seen to be right. */
  ready(): Promise<void> | undefined {
    if (this.#ready) return undefined
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /** What to tell the caller of a statement that failed with this error; the table may have gone since it was seen. */
  explain(error: unknown): unknown {
    if (!NOT_THERE.includes(sqlState(error) ?? '')) return error
    this.#ready = false
    return this.#mismatch(0)
  }

  async migrate(): Promise<void> {
    if ((await this.#version(MIGRATION_TIMEOUT)) !== SCHEMA_VERSION) {
      await this.#connections.transaction((run) => this.#migrateIn(run), MIGRATION_TIMEOUT)
    }
    this.#ready = true
  }

  async #look(): Promise<void> {
    const version = await this.#version()
    if (version < SCHEMA_VERSION && this.#migrateOnFirstUse) {
      return this.migrate().catch((error) => {
        if (sqlState(error) !== NOT_ALLOWED) throw error
        throw Object.assign(this.#mismatch(version, '; this one may not'), { cause: error })
      })
    }
    if (version !== SCHEMA_VERSION) throw this.#mismatch(version)
    this.#ready = true
  }

  /** 0 when there is no table. */
  async #version(timeout?: number): Promise<number> {
    try {
      const { rows } = await this.#connections.run(this.#versionStatement, [], timeout)
      return Number(rows[0]?.[0])
    } catch (error) {
      if (NOT_THERE.includes(sqlState(error) ?? '')) return 0
      throw error
    }
  }

  async #migrateIn(run: Run): Promise<void> {
    const { migrations, schema } = this.#names
    // Of many processes that start at once one does the work, and the others then find it done. Ends with the transaction.
    await run('select pg_advisory_xact_lock($1)', [LOCK])
    // Not "if not exists": that wants the right to create a schema even when there is one.
    if (schema !== undefined && !(await isThere(run, 'namespace', schema))) await run(`create schema ${schema}`)
    const version = (await isThere(run, 'class', migrations)) ? await this.#notedVersion(run) : 0
    if (version > SCHEMA_VERSION) throw this.#mismatch(version)
    for (const { sql } of this.#migrations.slice(version)) await run(sql).catch((error) => this.#refused(error))
  }

  async #notedVersion(run: Run): Promise<number> {
    const { plain, table } = this.#names
    // Nothing is dropped here: by its name it may be somebody else's.
    if (!(await isThere(run, 'class', table))) {
      throw new SessionSchemaMismatch(
        `there is a table ${plain}_migrations and no table ${plain}: drop it too, and run store.migrate()`,
      )
    }
    const version = Number((await run(this.#versionStatement.text)).rows[0]?.[0])
    if (version > 0) return version
    throw new SessionSchemaMismatch(
      `the table ${plain}_migrations is empty: drop it and the table ${plain}, and run store.migrate()`,
    )
  }

  #refused(error: unknown): never {
    if (sqlState(error) !== DUPLICATE_TABLE) throw error
    const { plain } = this.#names
    throw new SessionSchemaMismatch(
      `there is a table ${plain} that the postgres session store did not make: give the store another name in its option table`,
    )
  }

  #mismatch(version: number, otherwise = ', or set migrateOnFirstUse'): Error {
    const { plain } = this.#names
    if (version > SCHEMA_VERSION) {
      return new SessionSchemaMismatch(
        `the table ${plain} has schema version ${version}, and this version of @session-stores/postgres knows only ${SCHEMA_VERSION}: update the package`,
      )
    }
    const state = version === 0 ? 'is not there' : `has schema version ${version}, and ${SCHEMA_VERSION} is needed`
    return new SessionSchemaMismatch(
      `the table ${plain} of the postgres session store ${state}: run store.migrate() with a role that may create it${otherwise}`,
    )
  }
}

/**
 * Asks the catalog itself, which makes the server take in what others did while we waited for the lock: the look-up alone
 * would answer from what this connection remembers.
 */
async function isThere(run: Run, what: 'class' | 'namespace', name: string): Promise<boolean> {
  const { rows } = await run(`select exists (select from pg_${what} where oid = to_reg${what}($1))::text`, [name])
  return rows[0]?.[0] === 'true'
}
