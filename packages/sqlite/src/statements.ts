/**
 * Every statement of the verbs. Values go by position: see the driver.
 *
 * Of a record that is written again, `check_at` stays where it is as long as that is not after the new expiry, and with it
 * the index over it: that halves the cost. For what it is there for, see the schema.
 */
export const SQL = {
  read: `
    SELECT version, user_id, created_at, expires_at, data FROM sessions WHERE id = ?`,

  write: `
    INSERT INTO sessions (id, version, user_id, created_at, expires_at, check_at, data) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
      version = excluded.version, user_id = excluded.user_id, created_at = excluded.created_at,
      expires_at = excluded.expires_at, check_at = excluded.check_at, data = excluded.data`,

  replace: `
    UPDATE sessions SET version = ?, user_id = ?, created_at = ?, expires_at = ?, data = ?
    WHERE id = ? AND version = ? AND check_at <= ?`,

  replaceEarlier: `
    UPDATE sessions SET version = ?, user_id = ?, created_at = ?, expires_at = ?, data = ?, check_at = ?
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

  lastOfBatch: `
    SELECT id FROM sessions WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?`,

  clear: `
    DELETE FROM sessions WHERE id > ? AND id <= ?`,

  clearRest: `
    DELETE FROM sessions WHERE id > ?`,
}
