import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { casesFor } from '@session-stores/core/conformance'
import { dataFolder, pluginCases, removeFolder } from '@session-stores/testing'
import { findBun } from '@session-stores/testing/runtimes'
import { expect, onTestFinished, test } from 'vitest'
import { abilities } from './abilities.ts'

const bun = findBun()
if (bun === undefined) console.warn('LEFT OUT  Bun: there is none that runs on this machine')

test.skipIf(bun === undefined)(
  'under Bun, a database of bun:sqlite keeps the contract',
  async () => {
    const folder = dataFolder('sqlite-bun')
    onTestFinished(() => removeFolder(folder))
    const command = [join(import.meta.dirname, 'bun-worker.ts'), folder]
    const { stdout } = await promisify(execFile)(bun as string, command, { timeout: 110_000 })
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines).toEqual([{ contract: casesFor(abilities).length, plugin: pluginCases.length }])
  },
  120_000,
)
