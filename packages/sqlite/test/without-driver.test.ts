import { cpSync, existsSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { dataFolder, removeFolder } from '@session-stores/testing'
import { expect, onTestFinished, test } from 'vitest'
import { Worker } from './worker.ts'

const packageFolder = dirname(import.meta.dirname)

test('where no driver is installed, the quick start runs on node:sqlite, and path says what to do', async () => {
  const folder = projectWithout('better-sqlite3')
  const app = new Worker(join(folder, 'node-sqlite-app.mjs'))
  onTestFinished(() => app.kill())
  const address = (await app.next()) as string

  const first = await fetch(address)
  expect(await first.json()).toEqual({ visits: 1 })
  const cookie = first.headers.getSetCookie().map((line) => line.split(';', 1)[0] as string)
  const second = await fetch(address, { headers: { cookie: cookie.join('; ') } })
  expect(await second.json()).toEqual({ visits: 2 })
  expect(existsSync(join(folder, 'sessions.sqlite'))).toBe(true)

  const refused = await fetch(`${address}/with-path`)
  expect(await refused.json()).toMatchObject({
    message: expect.stringMatching(/path needs a driver: npm install better-sqlite3.*new DatabaseSync/),
  })
  expect(existsSync(join(folder, 'other.sqlite'))).toBe(false)
})

/** A folder in which this package is installed as it is published, with what it needs but this driver. */
function projectWithout(driver: string): string {
  const folder = dataFolder('sqlite-without-driver')
  onTestFinished(() => removeFolder(folder))
  const modules = join(folder, 'node_modules')
  for (const name of ['@session-stores/core', '@fastify/cookie', '@fastify/session', 'fastify']) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(realpathSync(join(packageFolder, 'node_modules', name)), join(modules, name))
  }
  // As a copy, for a package is looked for from where the file really is.
  for (const each of ['package.json', 'dist']) {
    cpSync(join(packageFolder, each), join(modules, '@session-stores/sqlite', each), { recursive: true })
  }
  expect(existsSync(join(modules, driver))).toBe(false)
  cpSync(join(import.meta.dirname, 'node-sqlite-app.mjs'), join(folder, 'node-sqlite-app.mjs'))
  return folder
}
