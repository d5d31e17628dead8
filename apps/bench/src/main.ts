/** The benchmark's command line: see USAGE in options.ts. */
import { join } from 'node:path'
import { type Bench, entriesFor } from './bench.ts'
import { contestants } from './contestants/index.ts'
import { correctnessLevel } from './correctness/level.ts'
import { featuresLevel } from './features/level.ts'
import { operationsLevel } from './operations/level.ts'
import { type Level, type Options, optionsFrom, USAGE } from './options.ts'
import { Progress } from './progress.ts'
import { writePages } from './report/pages.ts'
import { requestsLevel } from './requests/level.ts'
import { type Found, load, type Results, save, settingOf } from './results.ts'
import { scaleLevel } from './scale/level.ts'
import { trafficLevel } from './traffic/level.ts'

const measure: { [L in Level]: (bench: Bench) => Promise<Found[L]> } = {
  operations: operationsLevel,
  requests: requestsLevel,
  traffic: trafficLevel,
  scale: scaleLevel,
  features: featuresLevel,
  correctness: correctnessLevel,
}

/** Whether all that the pages show of a level is measured, as carefully as it can be. */
function isWhole({ stores, quick, builds }: Options): boolean {
  return stores.length === 0 && !quick && builds.length === 0
}

async function main(options: Options): Promise<void> {
  const progress = new Progress()
  const { entries, leftOut } = await entriesFor(options)
  for (const each of leftOut) progress.say(`LEFT OUT  ${each}`)
  const root = join(import.meta.dirname, '../../..')
  const docs = join(root, 'docs')
  const folder = options.out ?? (isWhole(options) ? docs : join(root, '.cache/bench'))
  // Levels that are not measured now stay on the page as they were, if that was as careful.
  const results: Results = folder === docs ? load(folder) : {}
  for (const level of options.levels) await add(level)
  progress.say(`written: ${(await writePages(folder, results)).join(', ')}`)

  async function add<L extends Level>(level: L): Promise<void> {
    const found = await measure[level]({ entries, quick: options.quick, progress })
    results[level] = { setting: settingOf(entries, leftOut), found } as Results[L]
    save(folder, results)
  }
}

// So that the servers are ended too.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))

let options: Options
try {
  options = optionsFrom(process.argv.slice(2), contestants)
} catch (error) {
  console.error(`${error instanceof Error ? error.message : error}\n\n${USAGE}`)
  process.exit(2)
}
if (options.help) console.log(USAGE)
else await main(options)
