// The server programs that tests start: which are missing, and how they come. Tests start their own on free ports, so
// nothing here starts one, and none that the machine already runs is used.
import { accessSync, constants, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { run } from './processes.mjs'

/**
 * @typedef {object} Program
 * @property {string[]} names what it may be called
 * @property {string} tests the folder of the package whose tests start it
 * @property {string} skip the environment variable that, set to 1, leaves those tests out
 * @property {string} [some] which of them; without it, all
 * @property {string} apt the package that brings it in Debian and Ubuntu
 * @property {string} brew the same in Homebrew
 * @property {() => string[]} [folders] where it may be besides PATH
 * @property {string} [variable] the environment variable that may name it
 */

/** @type {Program[]} */
const programs = [
  { names: ['redis-server'], tests: 'redis', skip: 'SKIP_REDIS', apt: 'redis-server', brew: 'redis' },
  { names: ['redis-sentinel'], tests: 'redis', skip: 'SKIP_REDIS', apt: 'redis-sentinel', brew: 'redis' },
  { names: ['memcached'], tests: 'memcached', skip: 'SKIP_MEMCACHED', apt: 'memcached', brew: 'memcached' },
  {
    names: ['postgres'],
    tests: 'postgres',
    skip: 'SKIP_POSTGRES',
    apt: 'postgresql',
    brew: 'postgresql',
    folders: () => subfolders('/usr/lib/postgresql').map((version) => join(version, 'bin')),
  },
  {
    names: ['pgbouncer'],
    tests: 'postgres',
    skip: 'SKIP_PGBOUNCER',
    some: 'the tests through PgBouncer',
    apt: 'pgbouncer',
    brew: 'pgbouncer',
    folders: () => ['/usr/sbin'],
  },
  {
    names: ['chromium', 'chromium-browser', 'google-chrome'],
    tests: 'demo',
    skip: 'SKIP_CHROMIUM',
    some: 'the tests in a browser',
    apt: 'chromium',
    brew: 'chromium',
    variable: 'CHROMIUM',
  },
]

/**
 * What the skip variables leave out: `whole` packages by their folder, and all of it in words.
 *
 * @param {string[]} packages
 * @param {NodeJS.ProcessEnv} env
 */
export function leftOut(packages, env) {
  const out = programs.filter(({ tests, skip }) => packages.includes(tests) && env[skip] === '1')
  const whole = out.filter(({ some }) => !some).map(({ tests }) => tests)
  const words = out
    .filter(({ tests, some }) => !some || !whole.includes(tests))
    .map(({ tests, skip, some }) => `${tests}: ${some ?? 'all tests'} (${skip}=1)`)
  return { whole: [...new Set(whole)], words: [...new Set(words)] }
}

/**
 * Sees to it that the tests of these packages find their programs. False when one is missing and cannot be had.
 *
 * @param {string[]} packages
 * @param {NodeJS.ProcessEnv} env
 */
export async function provide(packages, env) {
  const needed = programs.filter(({ tests, skip }) => packages.includes(tests) && env[skip] !== '1')
  const missing = () => needed.filter((program) => !isThere(program, env))
  if (missing().length > 0 && process.getuid?.() === 0 && onPath('apt-get', env)) await installByApt(missing(), env)

  for (const { names, skip, tests, some, apt, brew } of missing()) {
    const how = onPath('apt-get', env) ? `sudo apt-get install ${apt}` : `brew install ${brew}, or the like`
    console.error(`${names[0]} is missing: ${how}; or ${skip}=1 to leave out ${some ?? `the ${tests} tests`}`)
  }
  return missing().length === 0
}

/** @param {Program[]} missing @param {NodeJS.ProcessEnv} env */
async function installByApt(missing, env) {
  const names = [...new Set(missing.map(({ apt }) => apt))]
  console.error(`Installing ${names.join(', ')} through apt-get`)
  const quietly = { env: { ...env, DEBIAN_FRONTEND: 'noninteractive' }, quiet: true }
  // Debian starts a service as it installs it, unless this file says no
  const policy = '/usr/sbin/policy-rc.d'
  const ours = !existsSync(policy)
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    const { code } = await run('apt-get', ['update', '-q'], quietly)
    if (code === 0) await run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...names], quietly)
  } finally {
    if (ours) rmSync(policy)
  }
}

/** @param {Program} program @param {NodeJS.ProcessEnv} env */
function isThere({ names, folders, variable }, env) {
  const named = variable && env[variable]
  if (named) return executable(named)
  return names.some((name) => onPath(name, env) || folders?.().some((folder) => executable(join(folder, name))))
}

/** @param {string} name @param {NodeJS.ProcessEnv} env */
function onPath(name, env) {
  return (env.PATH ?? '').split(delimiter).some((folder) => executable(join(folder, name)))
}

/** @param {string} path */
function executable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** @param {string} folder */
function subfolders(folder) {
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []
}
