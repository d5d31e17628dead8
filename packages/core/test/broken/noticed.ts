import { describe, expect, test } from 'vitest'
import { abilitiesOf, type cases, casesFor } from '../../src/conformance/index.ts'
import type { Broken } from './open.ts'

/** Tests that each of these stores fails the cases that it should, and no other. Several at once, since they wait for most of the time. */
export function theCasesNotice(broken: readonly Broken[]): void {
  describe.concurrent('the cases notice', () => {
    for (const { what, noticedBy, openStore, openOver } of broken) {
      test(`${what}: ${noticedBy.join(', ')}`, async () => {
        expect(await failedBy(openStore, openOver)).toEqual(noticedBy)
      })
    }
  })
}

/** The rules whose cases this store does not pass. */
export async function failedBy(...subject: Parameters<(typeof cases)[number]['run']>): Promise<string[]> {
  const [openStore] = subject
  const abilities = abilitiesOf(await openStore('any', { pruneInterval: false }))
  const failed: string[] = []
  for (const { rule, run } of casesFor(abilities)) await run(...subject).catch(() => failed.push(rule))
  return failed
}
