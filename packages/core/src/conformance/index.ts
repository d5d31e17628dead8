/**
 * The contract as data: cases that any test runner can run, on `node:assert` alone. For a store of your own:
 *
 * ```ts
 * import { abilitiesOf, casesFor } from '@session-stores/core/conformance'
 *
 * const openStore = (name: string, options: StoreOptions) => new MyStore({ client, prefix: name, ...options })
 *
 * test('it can do what it says', () => assert.deepEqual(abilitiesOf(openStore('any', {})), ['ping', 'clear']))
 * for (const c of casesFor(['ping', 'clear'])) test(`${c.rule} ${c.name}`, () => c.run(openStore))
 * ```
 *
 * The rules are listed in docs/contract.md.
 */
import type { Ability, Case } from './case.ts'
import { expiryCases } from './expiry.ts'
import { mergingCases } from './merging.ts'
import { optionalCases } from './optional.ts'
import { recordCases } from './records.ts'
import { replaceCases } from './replace.ts'
import { safetyCases } from './safety.ts'
import { savingCases } from './saving.ts'

export {
  type Ability,
  abilitiesOf,
  type Case,
  type OpenStore,
} from './case.ts'

/** Every case there is, in the order of the rules. */
export const cases: readonly Case[] = [
  ...recordCases,
  ...replaceCases,
  ...optionalCases,
  ...expiryCases,
  ...savingCases,
  ...mergingCases,
  ...safetyCases,
]

/** The cases for a store with these abilities. */
export function casesFor(abilities: readonly Ability[]): Case[] {
  return cases.filter((c) => c.needs.every((ability) => abilities.includes(ability)))
}
