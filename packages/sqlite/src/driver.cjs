// CommonJS, for an ES module cannot catch that a package which it imports is missing, and what Node says of that by itself
// does not tell how to get it.

/**
 * Not inside the `try`, where bundlers would leave it as it is. The type is loose, for `SqliteDatabase` says what is used.
 * @returns {new (path: string, options: { timeout: number }) => any}
 */
function load() {
  return require('better-sqlite3')
}

try {
  module.exports = load()
} catch (error) {
  if (!String(error).includes("Cannot find module 'better-sqlite3'")) throw error
  throw new Error('@session-stores/sqlite needs its driver: npm install better-sqlite3', { cause: error })
}
