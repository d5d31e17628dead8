import { type Names, namesFor } from './identifiers.ts'
import { SLOT } from './statements.ts'

export interface SchemaOptions {
  /** Which schema the table is in. @default the first one of the connection's `search_path` */
  schema?: string
  /** @default 'sessions' */
  table?: string
  /**
   * Makes the table `unlogged`: saves are faster, since nothing is written to the write-ahead log, and **after a crash of
   * the database server all sessions are gone**; replicas have none of them. Only for a table that is not there yet.
   * @default false
   */
  unlogged?: boolean
}

/** One step from nothing to the schema that this version of the package works with. */
export interface Migration {
  version: number
  /** Several statements, without parameters, to be run in one transaction. They also note down that they were run. */
  sql: string
}

/**
 * The statements that `PostgresStore.migrate()` runs, for those who use a migration tool of their own. In a release that
 * changes the schema one more is added; those that were there stay as they are.
 * @throws TypeError when a name cannot be one
 */
export function migrations(options: SchemaOptions = {}): Migration[] {
  const names = namesFor(options.schema, options.table ?? 'sessions')
  return steps.map((step, n) => {
    const sql = step(names, options.unlogged ?? false)
    return { version: n + 1, sql: `${sql}\ninsert into ${names.migrations} (version) values (${n + 1});\n` }
  })
}

const steps = [sessionsTable]

/** The version of the schema that this version of the package works with. */
export const SCHEMA_VERSION = steps.length

function sessionsTable({ table, migrations, slotIndex, userIndex }: Names, unlogged: boolean): string {
  return `\
create table ${migrations} (
  version integer primary key,
  applied_at timestamptz not null default now()
);

create ${unlogged ? 'unlogged ' : ''}table ${table} (
  id bytea primary key,
  data json not null,
  user_id text,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  version text not null,
  expires_slot timestamptz not null generated always as (date_bin('${SLOT}', expires_at, 'epoch')) stored
) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);

create index ${slotIndex} on ${table} (expires_slot, created_at);
create index ${userIndex} on ${table} (user_id) where user_id is not null;
`
}
