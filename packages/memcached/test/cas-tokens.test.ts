import { expect, test } from 'vitest'
import { CasTokens } from '../src/cas-tokens.ts'

test('the versions seen last are remembered, and no more than twice as many', () => {
  const tokens = new CasTokens()
  const count = 50_000
  for (let n = 0; n < count; n += 1) tokens.set(`version${n}`, { generation: 'g', cas: BigInt(n) })
  const known = Array.from({ length: count }, (_, n) => tokens.get(`version${n}`)?.cas)
  expect(known.slice(-4096)).toEqual(Array.from({ length: 4096 }, (_, n) => BigInt(count - 4096 + n)))
  expect(known.filter((cas) => cas !== undefined).length).toBeLessThanOrEqual(2 * 4096)
})
