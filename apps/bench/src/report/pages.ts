import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Results } from '../results.ts'
import { benchmarksPage } from './benchmarks.ts'
import { comparisonPage } from './comparison.ts'

/** Writes the pages and charts of what was measured, and answers their paths. */
export async function writePages(folder: string, results: Results): Promise<string[]> {
  const files = { ...(await benchmarksPage(results)), ...comparisonPage(results) }
  mkdirSync(join(folder, 'benchmarks'), { recursive: true })
  return Object.entries(files).map(([name, text]) => {
    const path = join(folder, name)
    writeFileSync(path, text)
    return path
  })
}
