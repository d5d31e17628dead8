import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import type { Entry } from './bench.ts'
import type { CorrectnessRow } from './correctness/level.ts'
import type { FeatureRow } from './features/level.ts'
import type { OperationRow } from './operations/level.ts'
import type { Level } from './options.ts'
import type { RequestRow } from './requests/level.ts'
import type { ScaleResults } from './scale/level.ts'
import { serverVersions } from './servers/index.ts'
import type { TrafficRow } from './traffic/level.ts'

/** What the levels found. */
export interface Found {
  operations: OperationRow[]
  requests: RequestRow[]
  traffic: TrafficRow[]
  scale: ScaleResults
  features: FeatureRow[]
  correctness: CorrectnessRow[]
}

/** Where and on what a level was measured. */
export interface Setting {
  date: string
  /** Of this repository, short; empty outside of git. */
  commit: string
  machine: string
  system: string
  node: string
  servers: string[]
  /** Of npm: name and version. */
  packages: string[]
  leftOut: string[]
}

export type Results = { [L in Level]?: { setting: Setting; found: Found[L] } }

/** The figures of former runs, so that levels can be measured one at a time. */
export function load(folder: string): Results {
  const file = join(folder, 'benchmarks/results.json')
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
}

export function save(folder: string, results: Results): void {
  mkdirSync(join(folder, 'benchmarks'), { recursive: true })
  const rounded = (_: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value)
  writeFileSync(join(folder, 'benchmarks/results.json'), `${JSON.stringify(results, rounded, 1)}\n`)
}

export function settingOf(entries: Entry[], leftOut: string[]): Setting {
  const names = new Set(entries.flatMap(({ contestant }) => contestant.packages))
  for (const name of ['fastify', '@fastify/session', 'undici']) names.add(name)
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: said('git', 'rev-parse', '--short', 'HEAD'),
    machine: `${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${type()} ${release()}`,
    node: process.version,
    servers: [...serverVersions].sort(),
    packages: [...names].flatMap(packageVersion).sort(),
    leftOut,
  }
}

/** Ours have no version of their own before they are published. */
function packageVersion(name: string): string[] {
  if (name.startsWith('@session-stores/')) return []
  const folders = ['../node_modules', '../../../.cache/bench/connect-sqlite3/node_modules']
  const file = folders.map((folder) => join(import.meta.dirname, folder, name, 'package.json')).find(existsSync)
  if (file === undefined) return []
  const { name: real, version } = JSON.parse(readFileSync(file, 'utf8'))
  return [`${real} ${version}`]
}

function said(command: string, ...args: string[]): string {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return ''
  }
}
