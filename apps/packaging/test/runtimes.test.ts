// The runtimes, drivers and servers in the root README's table: the contract on each, and the programs of the pages.
import { execFile } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePort } from '@session-stores/testing'
import { findBun, findDeno } from '@session-stores/testing/runtimes'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { quickStartOf } from '../src/markdown.ts'
import { adapted, onNodeSqlite, visits } from '../src/quick-start.ts'
import { serverFor } from '../src/stores.ts'

const run = promisify(execFile)
// Inside this package, so that programs find the packages that this one depends on
const scratch = fileURLToPath(new URL('../.cache/runtimes', import.meta.url))
const worker = join(import.meta.dirname, 'runtime-worker.ts')
const SLOW = { timeout: 120_000 }

/** The least number of cases that a store has: one that lost an ability has fewer. */
const kinds = { memory: 100, sqlite: 100, redis: 100, memcached: 80, postgres: 100 }

const bun = findBun()
const deno = findDeno()
const runtimes: Record<string, string[] | undefined> = {
  Bun: bun === undefined ? undefined : [bun],
  Deno: deno === undefined ? undefined : [deno, 'run', '--allow-all', '--no-lock', '--node-modules-dir=manual'],
}
// Deno keeps what it has translated
process.env.DENO_DIR = join(scratch, 'deno')
process.env.DENO_NO_UPDATE_CHECK = '1'

beforeAll(() => {
  rmSync(scratch, { recursive: true, force: true })
  mkdirSync(scratch, { recursive: true })
})

type Server = Awaited<ReturnType<typeof serverFor>>

describe.each(Object.entries(kinds))('%s', (kind, leastCases) => {
  const isLeftOut = process.env[`SKIP_${kind.toUpperCase()}`] === '1'
  let server: Server
  beforeAll(async () => {
    server = isLeftOut ? { addresses: [], stop: async () => undefined } : await serverFor(kind)
  }, 60_000)
  afterAll(() => server.stop())

  for (const [name, command = []] of Object.entries(runtimes)) {
    const isMissing = command.length === 0
    if (isMissing && kind === 'memory') console.warn(`LEFT OUT  ${name}: there is none that runs on this machine`)

    test.skipIf(isMissing || isLeftOut).concurrent(`the contract under ${name}`, SLOW, async () => {
      expect(await contract(command, kind, server.addresses[0]?.is)).toBeGreaterThanOrEqual(leastCases)
    })

    test.skipIf(isMissing || isLeftOut).concurrent(`the program of its page under ${name}`, SLOW, async () => {
      const folder = join(scratch, `${name}-${kind}`)
      mkdirSync(folder)
      const path = join(folder, 'quick-start.mjs')
      writeFileSync(path, adapted(programOf(kind), server.addresses))
      const all = await visits(command, path, folder, 3)
      expect(all.map(({ body }) => JSON.parse(body))).toEqual([1, 2, 3].map((visits) => ({ visits })))
    })
  }
})

test.skipIf(process.env.SKIP_REDIS === '1')('the contract on iovalkey', SLOW, async () => {
  const server = await serverFor('redis')
  try {
    expect(await contract([process.execPath], 'iovalkey', server.addresses[0]?.is)).toBeGreaterThanOrEqual(kinds.redis)
  } finally {
    await server.stop()
  }
})

test('the contract on PGlite, with one connection', SLOW, async () => {
  const port = await freePort()
  expect(await contract([process.execPath], 'pglite', `${port}`)).toBeGreaterThanOrEqual(kinds.postgres)
})

/** How many cases held; fails with those that did not. */
async function contract([program = '', ...options]: string[], kind: string, address = ''): Promise<number> {
  const { stdout } = await run(program, [...options, worker, kind, address], { cwd: scratch, timeout: 110_000 })
  const lines = stdout.trim().split('\n')
  const { cases } = JSON.parse(lines.pop() ?? '')
  expect(lines.map((line) => JSON.parse(line))).toEqual([])
  return cases
}

/** The one on the page; where that needs a native package, with Node's own driver. */
function programOf(kind: string): string {
  if (kind === 'sqlite') return onNodeSqlite()
  return quickStartOf(`packages/${kind === 'memory' ? 'core' : kind}/README.md`).code
}
