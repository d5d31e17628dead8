// npm run faults: all faults on all stores, which writes docs/faults.md.
// npm run faults -- --only redis --only sqlite/locked: these only, and their lines of docs/faults.md once all are known.
// npm run faults -- --list: their names.
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { Result } from './cell.ts'
import { type Cell, cellsNamed, matrix } from './matrix.ts'
import { Outcomes } from './outcomes.ts'
import { lineOf, type Outcome, pageOf } from './report.ts'

const { values } = parseArgs({
  options: { only: { type: 'string', multiple: true, default: [] }, list: { type: 'boolean', default: false } },
})

// Servers and file systems of the matrix go with the process
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.on(signal, () => process.exit(code))
}

const chosen = cellsNamed(values.only)
if (values.list) {
  for (const { name, what } of chosen) console.log(`${name.padEnd(34)} ${what}`)
} else {
  await runAll(chosen)
}

async function runAll(cells: Cell[]): Promise<void> {
  const known = new Outcomes()
  const all: Outcome[] = []
  for (const cell of cells) {
    const outcome = cell.leftOut === undefined ? await run(cell) : { leftOut: cell.leftOut }
    all.push(outcome)
    known.set(cell, outcome)
    console.log(lineOf(cell, outcome))
  }
  const failed = all.filter((outcome) => 'wrong' in outcome && outcome.wrong.length > 0).length
  const leftOut = all.filter((outcome) => 'leftOut' in outcome).length
  console.log(`${all.length - failed - leftOut} hold, ${failed} fail, ${leftOut} left out`)
  if (failed > 0) process.exitCode = 1
  const outcomes = known.ofAll(matrix)
  if (outcomes) writeFileSync(new URL('../../../docs/faults.md', import.meta.url), pageOf(matrix, outcomes))
}

async function run(cell: Cell): Promise<Result | { wrong: string[] }> {
  try {
    return await cell.run()
  } catch (error) {
    return { wrong: [`it could not be run: ${error instanceof Error ? error.message : error}`] }
  }
}
