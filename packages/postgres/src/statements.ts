import { createHash } from 'node:crypto'
import type { Names } from './identifiers.ts'
import { manyStatementsFor } from './many-statements.ts'

/** One statement: whole text, values as parameters. */
export interface Statement {
  readonly text: string
  /** For those worth preparing. Of the text, so that two tables on one connection never share one. */
  readonly name?: string
  /** Whether it can neither write nor wait for the lock of a row. */
  readonly reads?: boolean
}

export type Statements = ReturnType<typeof statementsFor>

/** How long the slots of the column `expires_slot` are, in ms: a quarter of an hour. Changing it takes a migration. */
export const SLOT = 15 * 60_000

/** The largest value of type bigint. */
export const BEYOND = '9223372036854775807'

/** Everything the store says to a table, except for what makes the table (see migrations.ts). Times are in ms. */
export function statementsFor({ table }: Names) {
  const many = manyStatementsFor(table)
  return {
    readMany: prepared(many.readMany, true),
    writeMany: prepared(many.writeMany),
    replaceMany: prepared(many.replaceMany),
    touchMany: prepared(many.touchMany),
    removeMany: prepared(many.removeMany),

    read: prepared(
      `
      select data, user_id, created_at::text, expires_at::text, version from ${table} where id = $1`,
      true,
    ),

    write: prepared(`
      insert into ${table} (id, data, user_id, created_at, expires_at, version) values ($1, $2, $3, $4, $5, $6)
      on conflict (id) do update set
        data = excluded.data, user_id = excluded.user_id, created_at = excluded.created_at,
        expires_at = excluded.expires_at, version = excluded.version`),

    // The new version counts as well as the one asked for: so a replay finds its own write, and succeeds. It leaves the
    // expiry alone, which a touch may have moved since.
    replace: prepared(`
      with replaced as (
        update ${table} set data = $2, user_id = $3, created_at = $4,
          expires_at = case version when $6 then expires_at else $5 end, version = $6
        where id = $1 and version in ($6, $7)
        returning 1
      )
      select case when exists (select from replaced) then 'replaced'
        when exists (select from ${table} where id = $1) then 'conflict' else 'missing' end`),

    // A replay finds its own version, and counts as inserted.
    insert: {
      text: `
      insert into ${table} as stored (id, data, user_id, created_at, expires_at, version) values ($1, $2, $3, $4, $5, $6)
      on conflict (id) do update set version = excluded.version where stored.version = excluded.version`,
    },

    touch: prepared(`
      update ${table} set expires_at = greatest(expires_at, $2) where id = $1 and version = $3`),

    remove: prepared(`
      delete from ${table} where id = $1`),

    // Backwards through the index, from what has just expired: deleted rows that a long transaction keeps in the table are
    // passed over last, when there is nothing else left to do. Rows that another process prunes or a request writes are left
    // for later: nobody waits. A row that changed before it was locked is looked at again, so that nothing goes that was
    // prolonged meanwhile. By the process's clock alone only what is long over goes: see Backend.prune.
    prune: {
      text: `
      with ended as (
        select greatest($1, least($2, floor(extract(epoch from statement_timestamp()) * 1000)::bigint)) as at
      )
      delete from ${table} where expires_at <= (select at from ended) and id = any(array(
        select id from ${table}
        where (expires_slot, created_at) <= (least($3, (select at / ${SLOT} from ended)), $4)
          and expires_at <= (select at from ended)
        order by expires_slot desc, created_at desc limit $5 for update skip locked
      )) returning expires_slot::text, created_at::text`,
    },

    // By age there is no index, and none is worth its cost. Within each slot the rows are in the order of their age, though,
    // so this skips from slot to slot through the index.
    pruneOld: {
      text: `
      with recursive slots (slot, n) as (
        (select expires_slot, 1 from ${table} where expires_slot > $2 order by expires_slot limit 1)
        union all
        select (select expires_slot from ${table} where expires_slot > slot order by expires_slot limit 1), n + 1
        from slots where slot is not null and n < $3
      ), gone as (
        delete from ${table} where created_at <= $1 and id = any(array(
          select old.id from slots, lateral (
            select id from ${table} where expires_slot = slot and created_at <= $1
            order by created_at limit $4 for update skip locked
          ) old limit $4
        )) returning 1
      )
      select (select count(*) from gone)::text, count(slot)::text, max(slot)::text from slots`,
    },

    // Of the slot that has begun to expire the rows are looked at, and later slots are counted in the index alone. A batch
    // goes on at the row on which the last one ended, and skips those that are level with it and were counted.
    countDue: counting(table, 'expires_slot = $1 and created_at >= $2', 'created_at > $5 and expires_at > $6'),
    countLater: counting(table, '(expires_slot, created_at) >= ($1, $2)', 'created_at > $5'),

    scan: {
      reads: true,
      text: `
      select encode(id, 'hex'), data, user_id, created_at::text, expires_at::text
      from ${table} where id > $1 order by id limit $2`,
    },

    // The inner query stands by itself, so that the server goes by the user there, and not by the key for the sake of the order.
    findByUser: {
      reads: true,
      text: `
      select encode(id, 'hex'), data, user_id, created_at::text, expires_at::text
      from (select * from ${table} where user_id = $1 and id > $2 offset 0) of_user order by id limit $3`,
    },

    // Locked in the order of the keys, so that two at once never wait for each other in a ring. Whose a row is, is asked
    // again of the row as it then is.
    removeOfUser: {
      text: `
      delete from ${table} where user_id = $2 and id = any(array(
        select id from ${table} where id = any($1::bytea[]) and user_id = $2 order by id for update
      ))`,
    },

    // In the order of the keys, so that two at once never wait for each other in a ring.
    clear: {
      text: `
      with gone as (
        delete from ${table} where id = any(array(
          select id from ${table} where id > $1 order by id limit $2 for update
        )) returning encode(id, 'hex') as hex
      )
      select count(*)::text, max(hex collate "C") from gone`,
    },
  } satisfies Record<string, Statement>
}

function counting(table: string, range: string, live: string): Statement {
  return {
    reads: true,
    text: `
      with batch as (
        select expires_slot as slot, created_at as at, ${live} as live from ${table} where ${range}
        order by expires_slot, created_at offset $3 limit $4
      ), last as (
        select slot, at from batch order by slot desc, at desc limit 1
      )
      select count(*) filter (where live)::text, count(*)::text, max(last.slot)::text, max(last.at)::text,
        count(*) filter (where (batch.slot, batch.at) = (last.slot, last.at))::text
      from batch, last`,
  }
}

function prepared(text: string, reads = false): Statement {
  return { text, name: `session-stores-${createHash('sha256').update(text).digest('hex').slice(0, 24)}`, reads }
}
