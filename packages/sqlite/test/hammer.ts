import assert from 'node:assert/strict'
import { join } from 'node:path'
import { dataFolder, removeFolder } from '@session-stores/testing'
import { SqliteStore } from '../src/index.ts'
import { Worker } from './worker.ts'

export interface HammerReport {
  /** By session, then by client: the count that it was last told is stored. */
  acknowledged: Record<string, Record<string, number>>
  saves: number
  errors: string[]
  /** How late the event loop was, in ms; a free one is at 1.1. */
  delay: { p50: number; p99: number; max: number }
}

/** Lets processes change the same few sessions of one file at once, and checks that everything they saved is there. */
export async function hammer(processes: number, ms: number): Promise<HammerReport[]> {
  const folder = dataFolder('sqlite-hammer')
  try {
    const file = join(folder, 'sessions.sqlite')
    const store = new SqliteStore({ path: file })
    for (let n = 0; n < 4; n += 1) await store.set(`session-${n}`, {})
    const workers = Array.from({ length: processes }, (_, n) => {
      return new Worker('hammer-worker.ts', file, `process${n}`, `${ms}`)
    })
    const outputs = await Promise.all(workers.map((worker) => worker.output()))
    const reports = outputs.map((lines): HammerReport => JSON.parse(lines.join('')))
    for (const { errors } of reports) assert.deepEqual(errors, [])
    for (let n = 0; n < 4; n += 1) {
      const { '~loaded': _, ...stored } = await store.get(`session-${n}`)
      const acknowledged = Object.assign({}, ...reports.map((report) => report.acknowledged[`session-${n}`]))
      assert.deepEqual(stored, acknowledged)
    }
    await store.close()
    return reports
  } finally {
    removeFolder(folder)
  }
}
