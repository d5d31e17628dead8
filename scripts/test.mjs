// npm test: lint, import direction, build, types, all tests.
// npm test -- redis demo: the tests of these packages only, by folder.
// npm test -- redis -- -t touch: whatever follows the second -- goes to vitest.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { ended, run } from './processes.mjs'
import { leftOut, provide } from './servers.mjs'
import { fail, home, install, root, toolchain } from './toolchain.mjs'

const all = packagesWithTests()
const [chosen, forVitest] = splitAt(process.argv.slice(2), '--')
for (const folder of chosen) {
  if (!all.has(folder)) fail(`no package ${folder} has tests; these do: ${[...all.keys()].join(', ')}`)
}
const folders = chosen.length > 0 ? chosen : [...all.keys()]

const tools = await toolchain()
await install(tools)
const { stdout: node } = await run('node', ['--version'], { env: tools, quiet: true })
const env = {
  ...tools,
  TESTED_ON: node.trim(), // the results that turbo keeps hold for one Node
  XDG_CONFIG_HOME: join(home, 'config'), // a browser writes there; pnpm had to read the user's own
  ...(process.stdout.isTTY && { FORCE_COLOR: '1' }), // turbo and vitest write to a pipe, to be read at the end
}

const { whole, words } = leftOut(folders, env)
for (const text of words) console.log(`LEFT OUT  ${text}`)
const tested = folders.filter((folder) => !whole.includes(folder))
if (!(await provide(tested, env))) fail('not all servers are there that the tests need')

/** @type {string[]} */
const failed = []
if (chosen.length === 0) {
  await step('import direction', ['boundaries'])
  // Only then can the types be checked: packages import each other as they are built
  await step('lint, build', ['run', 'lint', 'build', '--continue'])
  await step('types', ['run', 'typecheck'])
}
if (tested.length > 0) {
  // Half the processors, for tests start servers besides and measure time
  const concurrency = Math.max(1, Math.floor(cpus().length / 2))
  const filters = tested.map((folder) => `--filter=${all.get(folder)}`)
  const options = ['--continue=dependencies-successful', `--concurrency=${concurrency}`]
  await step('tests', ['run', 'test', ...options, ...filters, ...(forVitest.length > 0 ? ['--', ...forVitest] : [])])
}

for (const text of words) console.log(`LEFT OUT  ${text}`)
if (failed.length > 0) fail(`FAILED: ${failed.join('; ')}`)
console.log(`\ntest: passed${words.length > 0 ? ', apart from what was left out' : ''}`)

/** @param {string} name @param {string[]} args */
async function step(name, args) {
  const { code, stdout } = await run('turbo', args, { cwd: root, env, kept: name === 'tests' })
  if (ended()) process.exit(ended())
  if (code === 0) return
  failed.push(name)
  console.log(failuresIn(stdout))
}

/** Folder name -> package name. */
function packagesWithTests() {
  /** @type {Map<string, string>} */
  const found = new Map()
  for (const group of ['packages', 'apps', 'examples']) {
    for (const folder of readdirSync(join(root, group))) {
      const manifest = join(root, group, folder, 'package.json')
      if (!existsSync(manifest)) continue // another branch left its node_modules
      const { name, scripts } = JSON.parse(readFileSync(manifest, 'utf8'))
      if (scripts?.test) found.set(folder, name)
    }
  }
  return found
}

/**
 * What vitest said of the tests that failed, once more: it stands far above, among what other packages said.
 * @param {string} output of turbo
 */
function failuresIn(output) {
  /** @type {Map<string, string[]>} */
  const byTask = new Map()
  for (const line of stripVTControlCharacters(output).split('\n')) {
    const [, task, text] = /^(\S+):test: ?(.*)/.exec(line) ?? []
    if (task === undefined || text === undefined) continue
    const lines = byTask.get(task) ?? []
    if (lines.length > 0 || /Failed (Tests|Suites)|Unhandled Errors/.test(text)) byTask.set(task, [...lines, text])
  }
  return [...byTask].map(([task, lines]) => `\n${task}\n${lines.join('\n')}`).join('')
}

/**
 * @param {string[]} list
 * @param {string} separator
 * @returns {[string[], string[]]}
 */
function splitAt(list, separator) {
  const at = list.indexOf(separator)
  return at < 0 ? [list, []] : [list.slice(0, at), list.slice(at + 1)]
}
