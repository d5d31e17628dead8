import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StoreOptions } from '@session-stores/core'
import { abilitiesOf, casesFor } from '@session-stores/core/conformance'
import { afterAll, test } from 'vitest'
import { LmdbStore } from '../src/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'lmdb-store-'))
afterAll(() => rmSync(folder, { recursive: true }))

function openStore(name: string, options: StoreOptions): LmdbStore {
  return new LmdbStore({ path: join(folder, `${name}.lmdb`), ...options })
}

const abilities = ['prune', 'scan', 'clear'] as const

test('can do what it says', async () => {
  const store = openStore('any', {})
  assert.deepEqual(abilitiesOf(store), abilities)
  await store.close()
})

for (const { rule, name, run } of casesFor(abilities)) test(`${rule} ${name}`, () => run(openStore))
