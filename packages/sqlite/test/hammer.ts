import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { dataFolder, removeFolder } from '@session-stores/testing'
import { SqliteStore } from '../src/index.ts'

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
    const worker = join(import.meta.dirname, 'hammer-worker.ts')
    const runs = Array.from({ length: processes }, async (_, n) => {
      const { stdout } = await promisify(execFile)(process.execPath, [worker, file, `process${n}`, `${ms}`])
      return JSON.parse(stdout) as HammerReport
    })
    const reports = await Promise.all(runs)
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
