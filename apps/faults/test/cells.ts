import { describe, expect, test } from 'vitest'
import { cellsNamed } from '../src/matrix.ts'

/** Each with its own servers and applications, one after the other: they measure time. */
export function testCells(names: string[]): void {
  for (const cell of cellsNamed(names)) {
    describe.skipIf(cell.leftOut !== undefined)(`${cell.name}: ${cell.what}`, () => {
      test('nothing is lost, and no request waits too long or fails otherwise than it may', {
        timeout: 90_000,
      }, async () => {
        const { wrong, figures } = await cell.run()
        expect(wrong, JSON.stringify(figures, undefined, 2)).toEqual([])
      })
    })
  }
}
