import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Results } from '../src/results.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../../..')
const folder = mkdtempSync(join(tmpdir(), 'session-stores-bench-'))
afterAll(() => rmSync(folder, { recursive: true }))

const bench = (...args: string[]) =>
  run(process.execPath, [
    ...['--experimental-strip-types', '--disable-warning=ExperimentalWarning'],
    ...[join(import.meta.dirname, '../src/main.ts'), '--out', folder, ...args],
  ])

/** What a run found that needs no server, with our store in two builds, which are one here. */
let results: Results
beforeAll(async () => {
  await bench('--quick', '--only', 'memory', '--build', root)
  results = JSON.parse(readFileSync(join(folder, 'benchmarks/results.json'), 'utf8'))
}, 300_000)

const otherBuild = `MemoryStore @${basename(root)}`
const stores = ['MemoryStore', otherBuild, '@fastify/session MemoryStore']

test('each operation of each store is measured', () => {
  const rows = results.operations?.found ?? []
  const operations = ['get hit', 'get miss', 'set new', 'set changed', 'set unchanged', 'destroy']
  expect(rows.map(({ label, operation }) => [label, operation])).toEqual(
    stores.flatMap((label) => operations.map((operation) => [label, operation])),
  )
  for (const { perSecond, p50, p99, cpu } of rows) expectPositive(perSecond, p50, p99, cpu)
})

test('requests through the plugin are measured, with the CPU time of the application', () => {
  const rows = results.requests?.found ?? []
  expect(new Set(rows.map(({ label }) => label))).toEqual(new Set([...stores, '@fastify/secure-session']))
  for (const { perSecond, p50, p99, cpu, toMemory } of rows) expectPositive(perSecond, p50, p99, cpu, toMemory)
  expect(rows.find(({ label }) => label === '@fastify/session MemoryStore')?.toMemory).toBe(1)
})

test('a store is filled, read from, and pruned', () => {
  const { sizes, prunes } = results.scale?.found ?? { sizes: [], prunes: [] }
  expect(sizes.map(({ label }) => label)).toEqual(['MemoryStore', otherBuild])
  for (const { filledPerSecond, lone, busy } of sizes) expectPositive(filledPerSecond, lone.p50, busy.perSecond)
  expect(prunes.map(({ label }) => label)).toEqual(['MemoryStore', otherBuild])
})

test('what features of ours cost is measured beside the same store without', () => {
  const rows = results.features?.found ?? []
  const builds = ['MemoryStore', otherBuild]
  expect(new Set(rows.map(({ label }) => label))).toEqual(
    new Set(builds.flatMap((label) => [label, `${label}, userOf`, `${label}, encryptionKeys`])),
  )
  for (const { cpu, toPlain } of rows) expectPositive(cpu, toPlain)
  expect(rows.find(({ label }) => label === 'MemoryStore')?.toPlain).toBe(1)
})

test('the awkward cases tell a store that keeps its promises from one that does not', () => {
  const rows = results.correctness?.found ?? []
  const broken = (store: string) =>
    rows.filter(({ label, verdict }) => label === store && verdict?.kept === false).map(({ title }) => title)
  expect(broken('MemoryStore')).toEqual([])
  expect(broken('@fastify/session MemoryStore')).toEqual([
    'two requests at once',
    'log-out during a write',
    'log-out during a read',
    'end of a session',
  ])
})

test('pages are written, with every chart that they show', () => {
  const page = readFileSync(join(folder, 'benchmarks.md'), 'utf8')
  expect(page).toContain('**MemoryStore**')
  expect(page).toContain('as built here ÷ in the other build')
  const charts = Array.from(page.matchAll(/!\[.*?\]\((.*?)\)/g), ([, path = '']) => path)
  expect(charts).toHaveLength(3)
  for (const path of charts) expect(readFileSync(join(folder, path), 'utf8')).toMatch(/^<svg/)
  expect(existsSync(join(folder, 'comparison.md'))).toBe(true)
})

test('a word that is no level and no store is refused, with those that are', async () => {
  await expect(bench('--only', 'mongo')).rejects.toThrow(/--only mongo: there is no such level or store/)
})

function expectPositive(...figures: number[]): void {
  for (const figure of figures) expect(figure).toBeGreaterThan(0)
}
