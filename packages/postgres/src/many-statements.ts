/** A change's parameters: columns of arrays, of which the first holds the keys. */
type Columns = Record<string, 'bytea' | 'json' | 'text' | 'bigint'>

const RECORD: Columns = { id: 'bytea', data: 'json', user_id: 'text', created_at: 'bigint', expires_at: 'bigint' }

/** Whether a row of `given` is in the table, whoever holds it. */
const isThere = (table: string) => `exists (select from ${table} stored where stored.id = given.id)`

/**
 * The statements for many records. No key comes twice in one. They lock what they can get at once and leave the rest, so
 * that they wait for nobody's row, and never in a ring for each other's. Each change answers, in the order given: `done`;
 * `missing`; `conflict`, when the row is there and the change does not apply; null, when somebody else holds the row.
 */
export function manyStatementsFor(table: string) {
  const change = (columns: Columns, action: string) => `
      with given as (
        select * from ${unnest(columns)} as given (${Object.keys(columns).join(', ')})
      ), held as (
        select id from ${table} where id = any($1::bytea[]) for update skip locked
      ), done as (${action}
      )
      select case when id in (select id from done) then 'done' when id in (select id from held) then 'conflict'
        when not ${isThere(table)} then 'missing' end
      from unnest($1::bytea[]) with ordinality as given (id, place) order by place`

  return {
    readMany: `
      select encode(id, 'hex'), data, user_id, created_at::text, expires_at::text, version
      from ${table} where id = any($1::bytea[])`,

    // In the order of the keys: of two that insert the same ones, one waits for the other.
    writeMany: change(
      { ...RECORD, version: 'text' },
      `
        insert into ${table} (id, data, user_id, created_at, expires_at, version)
        select * from given where id in (select id from held) or not ${isThere(table)} order by id
        on conflict (id) do update set
          data = excluded.data, user_id = excluded.user_id, created_at = excluded.created_at,
          expires_at = excluded.expires_at, version = excluded.version
        returning id`,
    ),

    // As the lone one: a replay finds its own version, and leaves the expiry alone.
    replaceMany: change(
      { ...RECORD, version: 'text', expected: 'text' },
      `
        update ${table} stored set data = given.data, user_id = given.user_id, created_at = given.created_at,
          expires_at = case stored.version when given.version then stored.expires_at else given.expires_at end,
          version = given.version
        from given where stored.id = given.id and stored.version in (given.version, given.expected)
          and stored.id in (select id from held)
        returning stored.id`,
    ),

    touchMany: change(
      { id: 'bytea', expires_at: 'bigint', expected: 'text' },
      `
        update ${table} stored set expires_at = greatest(stored.expires_at, given.expires_at)
        from given where stored.id = given.id and stored.version = given.expected and stored.id in (select id from held)
        returning stored.id`,
    ),

    removeMany: change(
      { id: 'bytea' },
      `
        delete from ${table} where id in (select id from held) returning id`,
    ),
  }
}

function unnest(columns: Columns): string {
  return `unnest(${Object.values(columns).map((type, n) => `$${n + 1}::${type}[]`)})`
}
