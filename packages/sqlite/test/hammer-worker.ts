// One of several processes that change the same sessions in one file, as fast as they can.
// node hammer-worker.ts <file> <name> <ms>: prints one line of JSON with what was acknowledged.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { SqliteStore } from '../src/index.ts'
import type { HammerReport } from './hammer.ts'

const CLIENTS = 8
const SESSIONS = 4

const [file = '', name = '', ms = ''] = process.argv.slice(2)
const store = new SqliteStore<Record<string, number>>({ path: file })
const report: HammerReport = { acknowledged: {}, saves: 0, errors: [], delay: { p50: 0, p99: 0, max: 0 } }

const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()
const end = Date.now() + Number(ms)
await Promise.all(Array.from({ length: CLIENTS }, (_, n) => client(`${name}-${n}`)))
delay.disable()

report.delay = { p50: delay.percentile(50) / 1e6, p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 }
await store.close()
console.log(JSON.stringify(report))

/** Counts up a key of its own in sessions that it shares with all the others. */
async function client(key: string): Promise<void> {
  while (Date.now() < end) {
    await nextTurn() // as requests arrive
    const id = `session-${Math.floor(Math.random() * SESSIONS)}`
    try {
      const session = await store.get(id)
      if (session === null) throw new Error(`${id} is gone`)
      await nextTurn() // as a handler that waits for something
      session[key] = (session[key] ?? 0) + 1
      await store.set(id, session)
      report.saves += 1
      report.acknowledged[id] = { ...report.acknowledged[id], [key]: session[key] }
    } catch (error) {
      report.errors.push(String(error))
    }
  }
}
