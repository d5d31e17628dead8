// The server programs that tests start: which are missing, and how they come. Tests start their own on free ports, so
// nothing here starts one, and none that the machine already runs is used.
import { accessSync, constants, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { run } from './processes.mjs'

/**
 * @typedef {object} Program
 * @property {string[]} names what it may be called
 * @property {string[]} tests the folders of the packages whose tests start it, and whatever else does
 * @property {string} skip the environment variable that, set to 1, leaves out the tests that need it
 * @property {string} [whole] the package of which that leaves nothing
 * @property {string} apt the package that brings it in Debian and Ubuntu; several with spaces
 * @property {string} brew the same in Homebrew
 * @property {() => string[]} [folders] where it may be besides PATH
 * @property {string} [variable] the environment variable that may name it
 */

const redis = { tests: ['redis', 'demo'], skip: 'SKIP_REDIS', whole: 'redis', brew: 'redis' }

/** @type {Program[]} */
const programs = [
  {
    ...redis,
    names: ['redis-server'],
    apt: 'redis-server',
    tests: [
      'redis',
      'fastify',
      'otel',
      'cli',
      'demo',
      'faults',
      'packaging',
      'recipes',
      'npm run bench',
      'npm run demo:screenshots',
    ],
  },
  { ...redis, names: ['redis-sentinel'], apt: 'redis-sentinel', tests: ['redis', 'faults'] },
  {
    names: ['memcached'],
    tests: ['memcached', 'cli', 'demo', 'faults', 'packaging', 'npm run bench'],
    skip: 'SKIP_MEMCACHED',
    whole: 'memcached',
    apt: 'memcached',
    brew: 'memcached',
  },
  {
    names: ['saslpasswd2'],
    tests: ['memcached', 'faults'],
    skip: 'SKIP_SASL',
    // The second has the mechanism that memcached is told to use.
    apt: 'sasl2-bin libsasl2-modules',
    brew: 'cyrus-sasl',
    folders: () => ['/usr/sbin', '/opt/homebrew/opt/cyrus-sasl/sbin', '/usr/local/opt/cyrus-sasl/sbin'],
  },
  {
    names: ['postgres'],
    tests: ['postgres', 'cli', 'demo', 'faults', 'packaging', 'npm run bench'],
    skip: 'SKIP_POSTGRES',
    whole: 'postgres',
    apt: 'postgresql',
    brew: 'postgresql@18',
    folders: () => [
      ...subfolders('/usr/lib/postgresql').map((version) => join(version, 'bin')),
      ...['/opt/homebrew/opt', '/usr/local/opt'].flatMap(subfolders).map((formula) => join(formula, 'bin')),
    ],
  },
  {
    names: ['pgbouncer'],
    tests: ['postgres', 'faults'],
    skip: 'SKIP_PGBOUNCER',
    apt: 'pgbouncer',
    brew: 'pgbouncer',
    folders: () => ['/usr/sbin'],
  },
  {
    names: ['chromium', 'chromium-browser', 'google-chrome'],
    tests: ['demo', 'npm run demo:screenshots'],
    skip: 'SKIP_CHROMIUM',
    apt: 'chromium',
    brew: 'chromium',
    variable: 'CHROMIUM',
  },
]

/**
 * What the skip variables leave out: `whole` packages by their folder, and everything in `words`.
 *
 * @param {string[]} packages
 * @param {NodeJS.ProcessEnv} env
 */
export function leftOut(packages, env) {
  const out = programs.filter((program) => concerns(program, packages) && env[program.skip] === '1')
  return {
    whole: out.flatMap(({ whole }) => whole ?? []),
    words: out.map(({ names, skip }) => `the tests that need ${names[0]} (${skip}=1)`),
  }
}

/**
 * Sees to it that the tests of these packages find their programs. False when one is missing and cannot be had.
 *
 * @param {string[]} packages
 * @param {NodeJS.ProcessEnv} env
 */
export async function provide(packages, env) {
  const needed = programs.filter((program) => concerns(program, packages) && env[program.skip] !== '1')
  const missing = () => needed.filter((program) => !isThere(program, env))
  if (missing().length > 0 && process.getuid?.() === 0 && onPath('apt-get', env)) await installByApt(missing(), env)

  for (const { names, skip, apt, brew } of missing()) {
    const how = onPath('apt-get', env) ? `sudo apt-get install ${apt}` : `brew install ${brew}, or the like`
    console.error(`${names[0]} is missing: ${how}; or ${skip}=1 to leave out the tests that need it`)
  }
  return missing().length === 0
}

/** @param {Program} program @param {string[]} packages */
function concerns({ tests }, packages) {
  return tests.some((folder) => packages.includes(folder))
}

/** @param {Program[]} missing @param {NodeJS.ProcessEnv} env */
async function installByApt(missing, env) {
  const names = [...new Set(missing.flatMap(({ apt }) => apt.split(' ')))]
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
