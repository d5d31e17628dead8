// The README says what Memcached cannot do: every ability that rules of the contract need and this store has not.
import { readFileSync } from 'node:fs'
import { cases, casesFor } from '@session-stores/core/conformance'
import { expect, test } from 'vitest'
import { abilities } from './setup.ts'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
/** Of what is optional, the name and how it is kept. */
const rows = [...readme.matchAll(/^\| `(\w+)` +\| (kept|\*\*cannot)/gm)].map(([, name, how]) => ({ name, how }))

const named = (isKept: boolean) => rows.filter(({ how }) => (how === 'kept') === isKept).map(({ name }) => name)

test('the rules that are not kept need something that the README says it cannot do, and no others', () => {
  const kept = casesFor(abilities)
  const missing = new Set<string>(cases.filter((each) => !kept.includes(each)).flatMap(({ needs }) => needs))
  for (const ability of abilities) missing.delete(ability)
  expect(named(false).sort()).toEqual([...missing].sort())
})

test('what it can do is there, too', () => {
  expect(named(true).sort()).toEqual([...abilities].sort())
})
