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
import { adoptingCases } from './cases/adopting.ts'
import { batchCases } from './cases/batches.ts'
import { checkCases } from './cases/check.ts'
import { environmentCases } from './cases/environment.ts'
import { expiryCases } from './cases/expiry.ts'
import { factoryCases } from './cases/factory.ts'
import { givingUpCases } from './cases/giving-up.ts'
import { mergingCases } from './cases/merging.ts'
import { optionalCases } from './cases/optional.ts'
import { outageCases } from './cases/outages.ts'
import { recordCases } from './cases/records.ts'
import { replaceCases } from './cases/replace.ts'
import { replayCases } from './cases/replays.ts'
import { safetyCases } from './cases/safety.ts'
import { savingCases } from './cases/saving.ts'
import { sealedCases } from './cases/sealed.ts'
import { userCases, userRecordCases } from './cases/users.ts'

export {
  type Ability,
  abilitiesOf,
  type Case,
  type OpenOver,
  type OpenStore,
} from './case.ts'

/** Every case there is, in the order of the rules. */
export const cases: readonly Case[] = [
  ...factoryCases,
  ...recordCases,
  ...replaceCases,
  ...optionalCases,
  ...replayCases,
  ...givingUpCases,
  ...batchCases,
  ...userRecordCases,
  ...checkCases,
  ...expiryCases,
  ...savingCases,
  ...mergingCases,
  ...safetyCases,
  ...environmentCases,
  ...outageCases,
  ...userCases,
  ...sealedCases,
  ...adoptingCases,
]

/** The cases for a store with these abilities. */
export function casesFor(abilities: readonly Ability[]): Case[] {
  return cases.filter((c) => c.needs.every((ability) => abilities.includes(ability)))
}
