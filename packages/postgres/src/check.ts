import type { Call, Finding } from '@session-stores/core'
import type { Database } from './database.ts'
import type { Names } from './identifiers.ts'
import { SCHEMA_VERSION } from './migrations.ts'
import type { Schema } from './schema.ts'
import { SLOT } from './statements.ts'

/** How many dead rows are many, and as what share of the live ones. Autovacuum is set to come at a twentieth. */
const MANY_DEAD = 10_000
const SHARE_OF_DEAD = 0.2
/** How long a row must have been over to show that nobody prunes, in ms; and how many of them are many. */
const LONG_OVER = 24 * 60 * 60_000
const MANY_OVER = 1000

/** What there is to say of the table and of the way to it. */
export async function checkTable(database: Database, schema: Schema, call: Call): Promise<Finding[]> {
  const version = await schema.version(call)
  const { names, unlogged } = schema
  if (version !== SCHEMA_VERSION)
    return schema.isMadeOnFirstUse && version < SCHEMA_VERSION ? [] : [ofVersion(version, names)]
  const [facts, over, isPooled] = [
    await database.run({ text: FACTS, reads: true }, [names.table], call),
    await database.run({ text: overOf(names), reads: true }, [`${Math.floor((call.now - LONG_OVER) / SLOT)}`], call),
    await database.sendsWhole(call),
  ]
  const [persistence, live, dead, indexes] = facts.rows[0] as [string, string, string, string]
  return [
    ...missingIndexes(indexes.split(' '), names),
    ...deadRows(Number(dead), Number(live), names),
    ...expiredRows(Number(over.rows[0]?.[0]), names),
    ...(persistence === 'u' ? [unloggedTable(names, unlogged)] : []),
    ...(isPooled ? [unprepared] : []),
  ]
}

// The statistics may be a second old. Of each valid index the columns, joined by commas.
const FACTS = `
  select relpersistence::text, pg_stat_get_live_tuples(oid)::text, pg_stat_get_dead_tuples(oid)::text,
    array_to_string(array(
      select (
        select string_agg(attname, ',' order by place) from unnest(indkey::int2[]) with ordinality as key (number, place)
        join pg_attribute on attrelid = indrelid and attnum = number
      ) from pg_index where indrelid = pg_class.oid and indisvalid
    ), ' ')
  from pg_class where oid = $1::regclass`

/** Not all of them are counted: there may be millions. */
function overOf({ table }: Names): string {
  return `select count(*)::text from (select from ${table} where expires_slot < $1 limit ${MANY_OVER + 1}) over`
}

function ofVersion(version: number, { plain }: Names): Finding {
  const why = 'every request fails with a 503, SESSION_SCHEMA_MISMATCH'
  if (version > SCHEMA_VERSION) {
    return {
      severity: 'error',
      what: `the table ${plain} has schema version ${version}, and this version of the package knows only ${SCHEMA_VERSION}`,
      why,
      how: 'update @session-stores/postgres in every process that uses the table',
    }
  }
  return {
    severity: 'error',
    what:
      version === 0
        ? `there is no table ${plain}`
        : `the table ${plain} has schema version ${version}, and ${SCHEMA_VERSION} is needed`,
    why,
    how: 'run store.migrate() with a role that may create it; or name the right one in the options schema and table',
  }
}

function missingIndexes(found: string[], { plain, table, slotIndex, userIndex }: Names): Finding[] {
  const needed = [
    {
      columns: 'expires_slot,created_at',
      why: 'pruning and counting read the whole table, each time',
      name: slotIndex,
      on: '(expires_slot, created_at)',
    },
    {
      columns: 'user_id',
      why: 'the sessions of a user are looked for in the whole table',
      name: userIndex,
      on: '(user_id) where user_id is not null',
    },
  ]
  return needed
    .filter(({ columns }) => !found.includes(columns))
    .map(({ columns, why, name, on }) => ({
      severity: 'warning',
      what: `the table ${plain} has no valid index on ${columns.replace(',', ', ')}`,
      why,
      how: `drop index if exists ${name}; create index concurrently ${name} on ${table} ${on}`,
    }))
}

function deadRows(dead: number, live: number, { plain, table }: Names): Finding[] {
  if (dead < MANY_DEAD || dead < SHARE_OF_DEAD * live) return []
  return [
    {
      severity: 'warning',
      what: `the table ${plain} has ${dead} dead rows beside ${live} live ones`,
      why: 'vacuum does not come or may not remove them, so the table and its indexes grow, and everything becomes slower',
      how:
        `vacuum (verbose) ${table} says why: usually a transaction that was left open (pg_stat_activity by ` +
        'age(backend_xmin)), a replication slot that nobody reads, or autovacuum that is off',
    },
  ]
}

function expiredRows(over: number, { plain }: Names): Finding[] {
  if (over < MANY_OVER) return []
  return [
    {
      severity: 'warning',
      what: `${over > MANY_OVER ? `more than ${MANY_OVER}` : over} sessions in ${plain} have been over for a day and are still there`,
      why: 'nobody prunes: the table grows for ever',
      how: 'let one process that runs have the option pruneInterval on, or call store.prune() from time to time',
    },
  ]
}

/** @param isWanted whether the store has the option */
function unloggedTable({ plain, table }: Names, isWanted: boolean): Finding {
  return {
    severity: isWanted ? 'advice' : 'warning',
    what: `the table ${plain} is unlogged`,
    why: 'when the database server crashes, all sessions are gone; replicas have none of them',
    how: `alter table ${table} set logged, which rewrites it under a lock`,
  }
}

const unprepared: Finding = {
  severity: 'advice',
  what: 'there is a pooler in between, such as PgBouncer, so no statement is prepared',
  why: 'the server parses and plans each statement anew, which costs it time',
  how: 'PgBouncer 1.21 or newer with max_prepared_statements set, and then the option preparedStatements: true',
}
