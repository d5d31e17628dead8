// CommonJS, for an ES module cannot load a package only when it is needed, and what Node says of one that is missing does
// not tell how to get it.

/**
 * Not inside the `try`, where bundlers would leave it as it is. The type is loose, for BetterSqlite3Database says what is
 * used.
 * @returns {new (path: string, options: { timeout: number }) => any}
 */
function load() {
  return require('better-sqlite3')
}

module.exports = function loadBetterSqlite3() {
  try {
    return load()
  } catch (error) {
    if (!String(error).includes("Cannot find module 'better-sqlite3'")) throw error
    throw new Error(
      'the option path needs a driver: npm install better-sqlite3. ' +
        'Or do without: database: new DatabaseSync(path), with the DatabaseSync of node:sqlite',
      { cause: error },
    )
  }
}
