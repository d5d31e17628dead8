// The README's conformance report says what the tests show: every chapter of the contract, and every rule that is not kept.
import { readFileSync } from 'node:fs'
import { cases, casesFor } from '@session-stores/core/conformance'
import { expect, test } from 'vitest'
import { abilities } from './setup.ts'

const [readme, contract] = ['../README.md', '../../../docs/contract.md'].map((path) =>
  readFileSync(new URL(path, import.meta.url), 'utf8'),
) as [string, string]
/** Chapter, and how it is kept on one server and on a pool. */
const rows = [...readme.matchAll(/^\| \[([^\]]+)\]\(\S+contract\.md#\S+\) \| (.+?) \| (.+?) \|$/gm)].map(
  ([, chapter = '', one = '', pool = '']) => ({ chapter, one, pool }),
)

test('no chapter is left out, and each is kept or not', () => {
  const chapters = [...contract.matchAll(/^### (.+)$/gm)].map(([, chapter]) => chapter)
  expect([...new Set(rows.map(({ chapter }) => chapter))]).toEqual(chapters)
  for (const { one, pool } of rows) expect(`${one} / ${pool}`).toMatch(/^kept.* \/ kept|^\*\*cannot:\*\* .* \/ cannot$/)
})

test('what is not kept are the rules whose ability it lacks, and no others', () => {
  const kept = casesFor(abilities)
  const missing = cases.filter((each) => !kept.includes(each)).map(({ name }) => name)
  const named = rows.flatMap(({ one }) => /^\*\*cannot:\*\* ([^;]*)/.exec(one)?.[1] ?? [])
  expect(named.sort()).toEqual(missing.sort())
})
