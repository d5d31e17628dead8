// Is the matrix able to fail? Stores that are broken on purpose, and a good one, under the same load.
import { expect, test } from 'vitest'
import { runCell } from '../src/cell.ts'
import { sqlite } from '../src/faults/sqlite.ts'
import { quiet, seen } from './broken/seen.ts'

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

seen('tells what it does, warns, stands still and never ends', quiet, [
  /times a session id or session data/,
  /warnings: .*something wrong/,
  /the event loop stood still: \d{4} ms/,
  /timers more than before/,
  /an application took to end/,
])
