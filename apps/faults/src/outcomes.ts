import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { Cell, Row } from './matrix.ts'
import type { Outcome } from './report.ts'

const folder = new URL('../../../.cache/', import.meta.url)
const file = new URL('faults.json', folder)

/** What came of each cell when it was run last, kept from run to run: the whole matrix takes most of an hour. */
export class Outcomes {
  readonly #byName: Record<string, Outcome> = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8'), fromJson) : {}

  set({ name }: Cell, outcome: Outcome): void {
    this.#byName[name] = outcome
    mkdirSync(folder, { recursive: true })
    writeFileSync(file, JSON.stringify(this.#byName, toJson))
  }

  /** Undefined as long as a cell has never been run. */
  ofAll(matrix: Row[]): Map<Cell, Outcome> | undefined {
    const outcomes = new Map<Cell, Outcome>()
    for (const cell of matrix.flatMap(({ cells }) => cells)) {
      const outcome = this.#byName[cell.name]
      if (outcome === undefined) return undefined
      outcomes.set(cell, outcome)
    }
    return outcomes
  }
}

/** JSON has no infinity, which stands for "never". */
function toJson(_key: string, value: unknown): unknown {
  return value === Number.POSITIVE_INFINITY ? 'Infinity' : value
}

function fromJson(_key: string, value: unknown): unknown {
  return value === 'Infinity' ? Number.POSITIVE_INFINITY : value
}
