import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { runCell } from '../../src/cell.ts'
import type { Fault } from '../../src/fault.ts'
import { lockFile, sqlite } from '../../src/faults/sqlite.ts'
import type { Flaw } from './store.ts'

type SqliteFault = (typeof sqlite.faults)[string]

/** No fault at all. */
export const quiet: Fault = {
  what: 'nothing',
  load: { longestRecovery: 2000 }, // some of these stores never recover
  run: () => sleep(1500),
  expect: { refuses: 'nothing' },
}

export const locked: SqliteFault = { what: 'locked for 6 s', run: ({ path }) => lockFile(path, 6000) }

/** @param words what the judge must say of it */
export function seen(flaw: Flaw, fault: SqliteFault, words: RegExp[]): void {
  test(`a store that ${flaw} is seen`, { timeout: 60_000 }, async () => {
    const { wrong } = await runCell(broken(flaw), fault)
    for (const each of words) expect(wrong.join('\n')).toMatch(each)
  })
}

/** SQLite, with that flaw. */
function broken(flaw: Flaw): typeof sqlite {
  const opener = new URL('store.ts', import.meta.url).href
  return {
    ...sqlite,
    async start(setup) {
      const stage = await sqlite.start(setup)
      return { ...stage, opener, settings: { path: stage.path, flaw } }
    },
  }
}
