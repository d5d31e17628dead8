import { createHash } from 'node:crypto'
import type { Names } from './identifiers.ts'

/** One statement: whole text, values as parameters. */
export interface Statement {
  readonly text: string
  /** For those worth preparing. Of the text, so that two tables on one connection never share one. */
  readonly name?: string
  /** Whether to tell the server to stop it when its time is up, and not only close the connection. */
  readonly cancel?: boolean
}

export type Statements = ReturnType<typeof statementsFor>

/** How long the slots of the column `expires_slot` are. Changing it takes a migration. */
export const SLOT = '15 minutes'

/** Everything the store says to a table, except for what makes the table (see migrations.ts). */
export function statementsFor({ table, migrations }: Names) {
  return {
    read: prepared(`
      select data::text, user_id::text, (extract(epoch from created_at) * 1000)::bigint::text,
        (extract(epoch from expires_at) * 1000)::bigint::text, version::text
      from ${table} where id = $1`),

    write: prepared(`
      insert into ${table} (id, data, user_id, created_at, expires_at, version) values ($1, $2, $3, $4, $5, $6)
      on conflict (id) do update set
        data = excluded.data, user_id = excluded.user_id, created_at = excluded.created_at,
        expires_at = excluded.expires_at, version = excluded.version`),

    // The new version counts as well as the one asked for: so a replay finds its own write, and succeeds.
    replace: prepared(`
      with replaced as (
        update ${table} set data = $2, user_id = $3, created_at = $4, expires_at = $5, version = $6
        where id = $1 and version in ($6, $7)
        returning 1
      )
      select case when exists (select from replaced) then 'replaced'
        when exists (select from ${table} where id = $1) then 'conflict' else 'missing' end`),

    touch: prepared(`
      update ${table} set expires_at = greatest(expires_at, $2) where id = $1 and version = $3`),

    remove: prepared(`
      delete from ${table} where id = $1`),

    // It waits for nothing on the server, so there is nothing to stop.
    ping: { text: 'select 1', cancel: false },

    // In the order of the index, from where the last batch ended. Rows that another process prunes or a request writes are
    // left for later: nobody waits. A row that changed before it was locked is looked at again, so that nothing goes that
    // was prolonged meanwhile.
    prune: {
      text: `
      delete from ${table} where expires_at <= $1 and id = any(array(
        select id from ${table}
        where (expires_slot, created_at) >= ($3, $4)
          and expires_slot <= date_bin('${SLOT}', $1::timestamptz, 'epoch') and expires_at <= $1
        order by expires_slot, created_at limit $2 for update skip locked
      )) returning (extract(epoch from expires_slot) * 1000)::bigint::text, (extract(epoch from created_at) * 1000)::bigint::text`,
    },

    // Whole slots from the index alone; only of the slot we are in are the rows looked at.
    count: {
      text: `
      select ((
        select count(*) from ${table} where expires_slot > date_bin('${SLOT}', $1::timestamptz, 'epoch')
      ) + (
        select count(*) from ${table} where expires_slot = date_bin('${SLOT}', $1::timestamptz, 'epoch') and expires_at > $1
      ))::text`,
    },

    scan: {
      text: `
      select encode(id, 'hex'), data::text, user_id::text, (extract(epoch from created_at) * 1000)::bigint::text,
        (extract(epoch from expires_at) * 1000)::bigint::text
      from ${table} where id > $1 order by id limit $2`,
    },

    // In the order of the keys, so that two at once never wait for each other in a ring.
    clear: {
      text: `
      delete from ${table} where id = any(array(
        select id from ${table} where id > $1 order by id limit $2 for update
      )) returning encode(id, 'hex')`,
    },

    // An error, too, when the other table is not there.
    schemaVersion: {
      text: `select coalesce(max(version), 0)::text, (select 1 from ${table} limit 0) from ${migrations}`,
    },
  } satisfies Record<string, Statement>
}

function prepared(text: string): Statement {
  return { text, name: `session-stores-${createHash('sha256').update(text).digest('hex').slice(0, 24)}` }
}
