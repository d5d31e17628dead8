/**
 * Every statement of the verbs. Values go by position: see the driver.
 *
 * SQLite writes to an index whenever a column of it is set, also to the value that it has. So a record that is written
 * again keeps `check_at` and `user_id`, and is written without them, as long as its user is the same and its expiry not
 * before `check_at`: that halves the cost. For what `check_at` is there for, see the schema.
 */
export const SQL = {
  read: `
    SELECT version, user_id, created_at, expires_at, data FROM sessions WHERE id = ?`,

  write: `
    INSERT INTO sessions (id, version, user_id, created_at, expires_at, check_at, data) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
      version = excluded.version, user_id = excluded.user_id, created_at = excluded.created_at,
      expires_at = excluded.expires_at, check_at = excluded.check_at, data = excluded.data`,

  insert: `
    INSERT INTO sessions (id, version, user_id, created_at, expires_at, check_at, data) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO NOTHING`,

  replace: `
    UPDATE sessions SET version = ?, created_at = ?, expires_at = ?, data = ?
    WHERE id = ? AND version = ? AND user_id IS ? AND check_at <= ?`,

  replaceIndexed: `
    UPDATE sessions SET version = ?, created_at = ?, expires_at = ?, data = ?, user_id = ?, check_at = ?
    WHERE id = ? AND version = ?`,

  version: `
    SELECT version FROM sessions WHERE id = ?`,

  touch: `
    UPDATE sessions SET expires_at = max(expires_at, ?) WHERE id = ? AND version = ?`,

  remove: `
    DELETE FROM sessions WHERE id = ?`,

  ping: `
    SELECT 1 FROM sessions LIMIT 1`,

  // The two of them see to the records that are due first: what has expired goes, the rest is due when it will have.
  prune: `
    DELETE FROM sessions
    WHERE expires_at <= ? AND rowid IN (SELECT rowid FROM sessions WHERE check_at <= ? ORDER BY check_at LIMIT ?)`,

  checkLater: `
    UPDATE sessions SET check_at = expires_at
    WHERE expires_at > ? AND rowid IN (SELECT rowid FROM sessions WHERE check_at <= ? ORDER BY check_at LIMIT ?)`,

  // By rowid, for no index has the beginnings: a walk in the order of the file costs less than one more index at each save.
  findOld: `
    SELECT count(*) FILTER (WHERE created_at <= ?) AS old, count(*) AS looked, max(place) AS last
    FROM (SELECT rowid AS place, created_at FROM sessions WHERE rowid > ? ORDER BY rowid LIMIT ?)`,

  pruneOld: `
    DELETE FROM sessions
    WHERE rowid IN (SELECT rowid FROM sessions WHERE created_at <= ? AND rowid > ? AND rowid <= ? LIMIT ?)`,

  // In the order of the file, which is a fifth of the cost of any other.
  count: `
    SELECT count(*) FILTER (WHERE expires_at > ? AND created_at > ?) AS live, count(*) AS looked, max(place) AS last
    FROM (SELECT rowid AS place, expires_at, created_at FROM sessions WHERE rowid > ? ORDER BY rowid LIMIT ?)`,

  // By id, for a VACUUM may change the rowids.
  scan: `
    SELECT id, user_id, created_at, expires_at, data FROM sessions WHERE id > ? ORDER BY id LIMIT ?`,

  // Not from where the last batch ended, for a VACUUM may have moved the rest there. New rowids are higher than all others.
  last: `
    SELECT coalesce(max(rowid), 0) AS place FROM sessions`,

  clear: `
    DELETE FROM sessions WHERE rowid IN (SELECT rowid FROM sessions WHERE rowid <= ? ORDER BY rowid LIMIT ?)`,

  findByUser: `
    SELECT id, user_id, created_at, expires_at, data FROM sessions WHERE user_id = ? AND id > ? ORDER BY id LIMIT ?`,

  removeOfUser: `
    DELETE FROM sessions WHERE user_id = ? AND id IN (SELECT value FROM json_each(?))`,
}
