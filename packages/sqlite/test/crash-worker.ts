// Takes one step after the other until it is killed, and prints each as a line of JSON once the store has acknowledged it.
// node crash-worker.ts <file> <the step before the first, as JSON>
import { writeSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { SqliteStore } from '../src/index.ts'
import { contentOf, idOf, type Step, stepAfter } from './crash.ts'

const [path = '', last = ''] = process.argv.slice(2)
const store = new SqliteStore({ path })

for (let step: Step = stepAfter(JSON.parse(last)); ; step = stepAfter(step)) {
  const id = idOf(step)
  if (step.does === 'end') await store.destroy(id)
  else await store.set(id, { ...(await store.get(id)), ...contentOf(step.n) })
  writeSync(1, `${JSON.stringify(step)}\n`)
  await nextTurn()
}
