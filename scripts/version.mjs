// npm run version: versions, changelogs and ranges, as the changesets ask for. CI runs it for the version pull request.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './processes.mjs'
import { root, toolchain } from './toolchain.mjs'

const bumps = ['none', 'patch', 'minor', 'major']

breakStoresWithCore()
const { code } = await run('changeset', ['version'], { cwd: root, env: await toolchain() })
process.exit(code)

/**
 * A store hands its users core's options, types and errors. When core moves on to a version that the stores do not ask
 * for, changesets would release the stores as fixes, and a user of `^1.2.3` would get the break with the next install. So
 * the changeset that breaks core breaks the stores too, and its text is in their changelogs.
 */
function breakStoresWithCore() {
  const { core, stores } = packages()
  const folder = join(root, '.changeset')
  for (const file of readdirSync(folder)) {
    if (!file.endsWith('.md') || file === 'README.md') continue
    const path = join(folder, file)
    const text = readFileSync(path, 'utf8')
    const bump = bumpOf(text, core.name)
    if (bumps.indexOf(bump) < bumps.indexOf(breaking(core.version))) continue
    let head = text.slice(0, text.indexOf('\n---', 3))
    const rest = text.slice(head.length)
    for (const { name, version } of stores) {
      const asked = bumpOf(text, name)
      const least = breaking(version)
      if (bumps.indexOf(asked) >= bumps.indexOf(least)) continue
      head = head.replace(new RegExp(`\\n['"]?${name}['"]?:.*`), '')
      head += `\n'${name}': ${least}`
      console.log(`${file} breaks ${core.name}, so ${name} as well: ${least}`)
    }
    writeFileSync(path, head + rest)
  }
}

/** The least bump that leaves `^version`. Before 1.0 that is a minor one. @param {string} version */
function breaking(version) {
  return version.startsWith('0.') ? 'minor' : 'major'
}

/** How a changeset bumps a package. @param {string} changeset @param {string} name */
function bumpOf(changeset, name) {
  const head = changeset.slice(0, changeset.indexOf('\n---', 3))
  return new RegExp(`^['"]?${name}['"]?:\\s*(\\w+)`, 'm').exec(head)?.[1] ?? 'none'
}

/** Core, and the published packages that depend on it. */
function packages() {
  const all = readdirSync(join(root, 'packages')).map((short) =>
    JSON.parse(readFileSync(join(root, 'packages', short, 'package.json'), 'utf8')),
  )
  const core = all.find(({ name }) => name === '@session-stores/core')
  return { core, stores: all.filter((one) => !one.private && one.dependencies?.[core.name]) }
}
