import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Store } from './contestant.ts'

const run = promisify(execFile)
const folder = fileURLToPath(new URL('../../../../.cache/bench/connect-sqlite3/', import.meta.url))
const manifest = join(folder, 'package.json')
const versions = { 'connect-sqlite3': '0.9.18', sqlite3: '5.1.7' }

type Factory = (express: { Store: unknown }) => new (options: object) => Store

export function connectSqlite3(...args: Parameters<Factory>): ReturnType<Factory> {
  const load: Factory = createRequire(folder)('connect-sqlite3')
  return load(...args)
}

/**
 * Its driver is compiled, or downloaded from elsewhere than the npm registry: so it is not among the packages that everybody
 * installs, but comes when it is first asked for, into a folder of its own.
 * @param patient whether it may be installed now
 */
export async function whyNotConnectSqlite3(patient: boolean): Promise<string | undefined> {
  if (!existsSync(manifest)) {
    if (!patient) return 'its driver is compiled at the first run without --quick'
    await install()
  }
  try {
    createRequire(folder)('sqlite3')
    return undefined
  } catch (error) {
    return `its driver sqlite3 ${versions.sqlite3} could not be built (${firstLine(error)}); delete ${folder} to try again`
  }
}

async function install(): Promise<void> {
  console.error(`Compiling sqlite3 ${versions.sqlite3} for connect-sqlite3, once: a minute or more`)
  mkdirSync(folder, { recursive: true })
  const allowScripts = { [`sqlite3@${versions.sqlite3}`]: true }
  writeFileSync(manifest, JSON.stringify({ private: true, dependencies: versions, allowScripts }))
  // Debian's headers, where they are: node-gyp would download others.
  const headers = existsSync('/usr/include/node/node_api.h') ? { npm_config_nodedir: '/usr' } : {}
  const args = ['install', '--no-audit', '--no-fund', '--legacy-peer-deps']
  // What comes of it is seen when the driver is loaded.
  await run('npm', args, { cwd: folder, env: { ...process.env, ...headers }, timeout: 15 * 60_000 }).catch(() => {})
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n', 1)[0] ?? ''
}
