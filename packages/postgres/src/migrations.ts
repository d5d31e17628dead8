import { type Names, namesFor } from './identifiers.ts'
import { SLOT } from './statements.ts'

export interface SchemaOptions {
  /**
   * Which schema the table is in.
   * @default found once, where the store is first used, by the `search_path` of the connection it is used on
   */
  schema?: string | undefined
  /** @default 'sessions' */
  table?: string | undefined
  /**
   * Makes the table `unlogged`: saves are faster, since nothing is written to the write-ahead log, and **after a crash of
   * the database server all sessions are gone**; replicas have none of them. Only for a table that is not there yet.
   * @default false
   */
  unlogged?: boolean | undefined
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

/**
 * A touch moves `expires_at` and nothing else. Were that column indexed, each touch would write to all indexes anew, so the
 * index is on its quarter of an hour, which seldom changes. Measured on Postgres 15.18 (18.4 where it differs) by
 * apps/bench/src/postgres/expiry-index.ts: 100,000 live sessions, 1,000,000 touches, autovacuum on; MiB before → after.
 *
 * | index on, fillfactor                 | heap-only updates | WAL a touch | table       | all indexes |
 * | ------------------------------------ | ----------------- | ----------- | ----------- | ----------- |
 * | expires_at, 100                      | 0 %               | 449 B       | 37.2 → 42.4 | 14.1 → 24.5 |
 * | expires_at, 80                       | 0 %               | 438 B       | 48.8 → 49.1 | 13.9 → 23.6 |
 * | its quarter of an hour, 100          | 88 % (85 %)       | 224 B       | 39.1 → 43.0 | 12.2 → 13.7 |
 * | its quarter of an hour, 90           | 90 % (87 %)       | 209 B       | 43.4 → 44.7 | 12.4 → 13.8 |
 * | **quarter and created_at, 90**       | **91 % (90 %)**   | **208 B**   | 43.4 → 44.5 | 17.1 → 21.4 |
 * | quarter and created_at, 80           | 92 % (91 %)       | 212 B       | 48.8 → 49.0 | 17.1 → 21.5 |
 * | its hour, 80                         | 100 %             | 185 B       | 48.8 → 49.0 | 12.3 → 12.3 |
 * | BRIN on expires_at, 80               | 0 % (100 %)       | 368 (186) B | 48.8 → 48.9 | 11.9 → 13.0 |
 * | none, 80                             | 100 %             | 185 B       | 48.8 → 48.9 | 11.8 → 11.8 |
 *
 * Pruning must find what expired within the current slot too, among what did not. `created_at`, which never changes,
 * lets it go on where its last batch ended: 150,000 of 500,000 sessions in one slot were deleted in 1.4 s with no batch
 * over 13 ms, and without it in 26 s with batches of 370 ms. Longer slots have more of such sessions; BRIN and no index
 * mean reading the table.
 */
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
  created_at bigint not null,
  expires_at bigint not null,
  version text not null,
  expires_slot bigint not null generated always as (expires_at / ${SLOT}) stored
) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);

create index ${slotIndex} on ${table} (expires_slot, created_at);
create index ${userIndex} on ${table} (user_id) where user_id is not null;
`
}
