// Runs under Bun: the contract and the plugin's cases, on databases of bun:sqlite. Prints a line of JSON for each that
// failed, and at last how many there were. bun bun-worker.ts <folder for the files>
import { closeSync, openSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { StoreOptions } from '@session-stores/core'
import { abilitiesOf, casesFor } from '@session-stores/core/conformance'
import { pluginCases } from '@session-stores/testing'
import { type SqliteDatabase, SqliteStore } from '../src/index.ts'

const [folder = ''] = process.argv.slice(2)
const { Database } = createRequire(import.meta.url)('bun:sqlite') as {
  Database: new (path: string, options: { create: true; safeIntegers: boolean }) => SqliteDatabase
}

let opened = 0
function openStore(name: string, options: StoreOptions): SqliteStore {
  opened += 1
  closeSync(openSync(join(folder, name), 'a', 0o600))
  const database = new Database(join(folder, name), { create: true, safeIntegers: opened % 2 === 0 })
  database.exec('PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 100')
  return new SqliteStore({ database, ...options })
}

const contract = casesFor(abilitiesOf(openStore('abilities', {})))
const all = [
  ...contract.map(({ rule, name, run }) => ({ name: `${rule} ${name}`, run: () => run(openStore) })),
  ...pluginCases.map(({ name, run }) => ({ name, run: () => run(() => openStore(`plugin-${opened}`, {})) })),
]
for (const { name, run } of all) {
  await run().catch((error: Error) => console.log(JSON.stringify({ name, error: error.stack })))
}
console.log(JSON.stringify({ contract: contract.length, plugin: pluginCases.length }))
process.exit()
