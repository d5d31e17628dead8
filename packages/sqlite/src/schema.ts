import { type Driver, transaction } from './driver.ts'

/**
 * The steps from each version of the schema to the next. The version is kept in the file's `user_version`.
 *
 * Pruning needs an index over time, but one on `expires_at` would double the cost of every save and touch, which
 * nearly always move it. So the index is on `check_at`, a moment at or before `expires_at`, which stays where it is while the
 * expiry moves on. When it comes, pruning looks at the record, and either deletes it or moves `check_at` to `expires_at`.
 *
 * The index by user has the id too, so that the sessions of one user can be walked through in an order that lasts: a
 * VACUUM may change the rowids.
 */
const MIGRATIONS = [
  `CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY, -- SHA-256 of the session id, base64url
    version TEXT NOT NULL,        -- new with every write; a touch leaves it
    user_id TEXT,                 -- whose session it is, if known
    created_at INTEGER NOT NULL,  -- ms since the epoch
    expires_at INTEGER NOT NULL,  -- ms since the epoch
    check_at INTEGER NOT NULL,    -- when to see whether it has expired; never later than expires_at
    data TEXT NOT NULL            -- the serialized session; last, because it can be long
  ) STRICT;
  CREATE INDEX sessions_check_at ON sessions (check_at);
  CREATE INDEX sessions_user_id ON sessions (user_id, id) WHERE user_id IS NOT NULL;`,
]
const VERSION = MIGRATIONS.length
const COLUMNS = 'id,version,user_id,created_at,expires_at,check_at,data'

/**
 * Makes the table where there is none.
 * @param name of the database, for errors
 * @throws Error, with nothing changed, when the database belongs to something else
 */
export function prepareSchema(driver: Driver, name: string): void {
  if (versionOf(driver, name) === VERSION) return
  transaction(driver, () => {
    // Again, now that no other process can do the same meanwhile.
    for (const migration of MIGRATIONS.slice(versionOf(driver, name))) driver.exec(migration)
    driver.exec(`PRAGMA user_version = ${VERSION}`)
  })
}

function versionOf(driver: Driver, name: string): number {
  const found = driver.prepare(`
    SELECT
      (SELECT user_version FROM pragma_user_version) AS version,
      (SELECT count(*) FROM sqlite_schema) AS objects,
      (SELECT group_concat(name) FROM pragma_table_info('sessions')) AS columns`)
  const { version, objects, columns } = found.get() as { version: number; objects: number; columns: string | null }
  if (version > VERSION) {
    throw new Error(
      `${name} has session schema version ${version}, and this @session-stores/sqlite knows versions up to ${VERSION}: ` +
        'update the package, or give the sessions a database of their own',
    )
  }
  const isNew = version === 0 && objects === 0
  if (!isNew && (version !== VERSION || columns !== COLUMNS)) {
    throw new Error(
      `${name} holds something other than the sessions of @session-stores/sqlite: give them a database of their own`,
    )
  }
  return version
}
