// Is the matrix able to fail? Stores that are broken on purpose, and a good one whose deadline is off, under the same load.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { runCell } from '../src/cell.ts'
import type { Fault } from '../src/fault.ts'
import { lockFile, sqlite } from '../src/faults/sqlite.ts'
import type { Flaw } from './broken/store.ts'

/** No fault at all. */
const quiet: Fault = {
  what: 'nothing',
  load: { longestRecovery: 2000 }, // some of these stores never recover
  run: () => sleep(1500),
  expect: { refuses: 'nothing' },
}
const locked: (typeof sqlite.faults)[string] = { what: 'locked for 6 s', run: ({ path }) => lockFile(path, 6000) }

test('a good store, and no fault: nothing is wrong', { timeout: 60_000 }, async () => {
  const { wrong } = await runCell(sqlite, quiet)
  expect(wrong).toEqual([])
})

seen('keeps sessions in its own process', quiet, [/sessions lost/, /times 401 for a session that was there/])

seen('loses changes, undoes log-outs, and fails with errors of its own', quiet, [
  /acknowledged changes lost/,
  /acknowledged log-outs undone/,
  /requests got 500/,
])

seen('takes an outage for no session, and answers after the deadline', quiet, [
  /times 401 for a session that was there/,
  /the longest wait: \d{4} ms/,
])

seen('takes a replay for a conflict', { ...quiet, onlyWriter: true }, [/a session’s only writer met another one/])

seen('tells what it does, warns, stands still and never ends', quiet, [
  /times a session id or session data/,
  /warnings: .*something wrong/,
  /the event loop stood still: \d{4} ms/,
  /timers more than before/,
  /an application took to end/,
])

// What a store without a circuit breaker does
seen('waits for the whole deadline each time', locked, [/a wait in vain in an outage that is known: \d{4} ms/])

test('a store without its deadline fails a cell that it holds otherwise', { timeout: 60_000 }, async () => {
  const { wrong } = await runCell(sqlite, { ...locked, options: { timeout: 60_000 } })
  expect(wrong.join('\n')).toMatch(/the longest wait: \d{4} ms/)
})

function seen(flaw: Flaw, fault: (typeof sqlite.faults)[string], words: RegExp[]): void {
  test(`a store that ${flaw} is seen`, { timeout: 60_000 }, async () => {
    const { wrong } = await runCell(broken(flaw), fault)
    for (const each of words) expect(wrong.join('\n')).toMatch(each)
  })
}

/** SQLite, with that flaw. */
function broken(flaw: Flaw): typeof sqlite {
  const opener = new URL('broken/store.ts', import.meta.url).href
  return {
    ...sqlite,
    async start(setup) {
      const stage = await sqlite.start(setup)
      return { ...stage, opener, settings: { path: stage.path, flaw } }
    },
  }
}
