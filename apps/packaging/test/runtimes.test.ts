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

const node = [process.execPath]
const bun = findBun()
const deno = findDeno()
const runtimes: Record<string, string[] | undefined> = {
  Bun: bun === undefined ? undefined : [bun],
  Deno: deno === undefined ? undefined : [deno, 'run', '--allow-all', '--no-lock', '--node-modules-dir=manual'],
}
for (const [name, command] of Object.entries(runtimes)) {
  if (!command) console.warn(`LEFT OUT  ${name}: there is none that runs on this machine`)
}
// Deno keeps what it has translated
process.env.DENO_DIR = join(scratch, 'deno')
process.env.DENO_NO_UPDATE_CHECK = '1'

/** The contract on every store takes two minutes of a processor. */
const isWhole = process.env.RUNTIMES === 'all'
if (!isWhole)
  console.warn('LEFT OUT  the contract of four stores under Bun and Deno, on iovalkey and PGlite: RUNTIMES=all')
const isLeftOut = (kind: string) => process.env[`SKIP_${kind.toUpperCase()}`] === '1'
const servers: Record<string, Awaited<ReturnType<typeof serverFor>>> = {}

beforeAll(async () => {
  rmSync(scratch, { recursive: true, force: true })
  mkdirSync(scratch, { recursive: true })
  for (const kind of Object.keys(kinds)) if (!isLeftOut(kind)) servers[kind] = await serverFor(kind)
}, 60_000)
afterAll(async () => {
  for (const server of Object.values(servers)) await server.stop()
})

describe('the contract', () => {
  for (const [kind, leastCases] of Object.entries(kinds)) {
    for (const [runtime, command] of Object.entries(runtimes)) {
      const isMeant = kind === 'memory' || isWhole
      test.skipIf(!command || !isMeant || isLeftOut(kind))(`${kind}, under ${runtime}`, SLOW, async () => {
        expect(await casesThatHold(command, kind, addressOf(kind))).toBeGreaterThanOrEqual(leastCases)
      })
    }
  }

  test.skipIf(!isWhole || isLeftOut('redis'))('on iovalkey', SLOW, async () => {
    expect(await casesThatHold(node, 'iovalkey', addressOf('redis'))).toBeGreaterThanOrEqual(kinds.redis)
  })

  test.skipIf(!isWhole)('on PGlite, with one connection', SLOW, async () => {
    expect(await casesThatHold(node, 'pglite', `${await freePort()}`)).toBeGreaterThanOrEqual(kinds.postgres)
  })
})

describe('the program of its page', () => {
  for (const kind of Object.keys(kinds)) {
    for (const [runtime, command] of Object.entries(runtimes)) {
      test.skipIf(!command || isLeftOut(kind))(`${kind}, under ${runtime}`, SLOW, async () => {
        const folder = join(scratch, `${runtime}-${kind}`)
        mkdirSync(folder)
        const path = join(folder, 'quick-start.mjs')
        writeFileSync(path, adapted(programOf(kind), servers[kind]?.addresses ?? []))
        const all = await visits(command ?? [], path, folder, 3)
        expect(all.map(({ body }) => JSON.parse(body))).toEqual([1, 2, 3].map((visits) => ({ visits })))
      })
    }
  }
})

function addressOf(kind: string): string {
  return servers[kind]?.addresses[0]?.is ?? ''
}

/** How many cases held; fails with those that did not. */
async function casesThatHold(
  [program = '', ...options]: string[] = [],
  kind: string,
  address: string,
): Promise<number> {
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
