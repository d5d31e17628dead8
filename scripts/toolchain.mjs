// Brings the Node and the pnpm that this repository needs, through npm and into npm's own cache, and the packages into
// node_modules. Runs on any Node from 18 on. Writes nothing else outside the checkout.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ended, run } from './processes.mjs'

export const root = fileURLToPath(new URL('..', import.meta.url))
const cache = join(root, '.cache')
/** Stands in for the home folder. */
export const home = join(cache, 'home')

/** What is needed and not there: the names of npm packages. */
function wanted() {
  const { devEngines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const { name, version } = devEngines.packageManager
  const node = readFileSync(join(root, '.nvmrc'), 'utf8').trim()
  return nodeWillDo(process.versions.node) ? [`${name}@${version}`] : [`${name}@${version}`, `node@${node}`]
}

/**
 * vitest runs on even releases only, and better-sqlite3 crashes those before 22.14 when it opens a database.
 * @param {string} version
 */
function nodeWillDo(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major % 2 === 0 && (major > 22 || (major === 22 && minor >= 14))
}

/**
 * The environment in which `node`, `pnpm` and the packages' own commands are the right ones.
 * @returns {Promise<NodeJS.ProcessEnv>}
 */
export async function toolchain() {
  const bin = await binaries(wanted())
  return {
    ...process.env,
    PATH: [bin, join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter),
    // What pnpm and turbo would write in the home folder
    XDG_CACHE_HOME: join(home, 'cache'),
    XDG_DATA_HOME: join(home, 'data'),
    XDG_STATE_HOME: join(home, 'state'),
    TURBO_CONFIG_DIR_PATH: join(home, 'turbo'),
    TURBO_TELEMETRY_DISABLED: '1',
  }
}

/**
 * The folder with the commands of these packages. npm takes a second to say which, so the answer is kept.
 * @param {string[]} packages
 */
async function binaries(packages) {
  const kept = join(cache, 'toolchain.json')
  const key = packages.join(' ')
  const known = existsSync(kept) ? JSON.parse(readFileSync(kept, 'utf8')) : {}
  const complete = (/** @type {string} */ bin) =>
    packages.every((name) => existsSync(join(bin, name.replace(/@.*/, ''))))
  if (known[key] && complete(known[key])) return known[key]

  console.error(`Getting ${packages.join(' and ')} through npm`)
  const find = `process.env.PATH.split(path.delimiter).find((bin) => fs.existsSync(path.join(bin, 'pnpm')))`
  const args = ['--yes', ...packages.map((name) => `--package=${name}`), '--', 'node', '-p', find]
  const { code, stdout } = await run('npx', args, { cwd: root, quiet: true })
  const bin = stdout.trim().split('\n').at(-1) ?? ''
  if (code !== 0 || !complete(bin)) fail(`npm could not bring ${packages.join(' and ')}`, code)
  mkdirSync(cache, { recursive: true })
  writeFileSync(kept, JSON.stringify({ ...known, [key]: bin }))
  return bin
}

/**
 * Installs what the lockfile says. Takes a fraction of a second when that is there.
 * @param {NodeJS.ProcessEnv} env
 */
export async function install(env) {
  if (!existsSync(join(root, 'node_modules', '.modules.yaml'))) console.error('Installing packages')
  const temporary = join(cache, 'tmp') // where pnpm leaves its locks behind
  mkdirSync(temporary, { recursive: true })
  const args = ['install', '--frozen-lockfile', '--config.confirm-modules-purge=false']
  const { code } = await run('pnpm', args, { cwd: root, env: { ...env, TMPDIR: temporary }, quiet: true })
  if (code !== 0) fail('the packages could not be installed', code)
}

/**
 * Ends the script with the reason, unless it was asked to end.
 * @param {string} reason
 * @param {number} [code]
 * @returns {never}
 */
export function fail(reason, code) {
  if (!ended()) console.error(`\n${process.env.npm_lifecycle_event ?? 'npm'}: ${reason}`)
  process.exit(ended() ?? (code || 1))
}
