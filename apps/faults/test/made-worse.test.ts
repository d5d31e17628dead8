// Is the matrix able to fail? What the stores rest on is taken from a good one, or done wrongly.
import { expect, test } from 'vitest'
import { runCell } from '../src/cell.ts'
import { sqlite } from '../src/faults/sqlite.ts'
import { locked, quiet, seen } from './broken/seen.ts'

test('a store without its deadline fails a cell that it holds otherwise', { timeout: 60_000 }, async () => {
  const { wrong } = await runCell(sqlite, { ...locked, options: { timeout: 60_000 } })
  expect(wrong.join('\n')).toMatch(/the longest wait: \d{4} ms/)
})

// What a store without a circuit breaker does
seen('waits for the whole deadline each time', locked, [/a wait in vain in an outage that is known: \d{4} ms/])

seen('takes a replay for a conflict', { ...quiet, onlyWriter: true }, [/a session’s only writer met another one/])
