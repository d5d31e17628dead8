// The README says what Memcached cannot do: every ability that rules of the contract need and this store has not.
import { readFileSync } from 'node:fs'
import { cases, casesFor } from '@session-stores/core/conformance'
import { expect, test } from 'vitest'
import { abilities } from './setup.ts'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
/** What is optional, and how it is kept. */
const rows = [...readme.matchAll(/^\| (`\w+`(?:, `\w+`)*) +\| (kept|\*\*cannot)/gm)]
const named = (how: string) =>
  rows.filter((row) => row[2] === how).flatMap((row) => [...`${row[1]}`.matchAll(/\w+/g)].map(([name]) => name))

test('the rules that are not kept need something that the README says it cannot do, and no others', () => {
  const kept = casesFor(abilities)
  const missing = new Set<string>(cases.filter((each) => !kept.includes(each)).flatMap(({ needs }) => needs))
  for (const ability of abilities) missing.delete(ability)
  expect(named('**cannot').sort()).toEqual([...missing].sort())
})

test('what it can do is there, too', () => {
  expect(named('kept').sort()).toEqual([...abilities].sort())
})
