// The next release from beginning to end, into a registry of its own on this machine, and what users then do with it.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { Clone } from '../src/clone.ts'
import { Consumer } from '../src/consumer.ts'
import { installLineOf, quickStartOf, samplesOf } from '../src/markdown.ts'
import { nodeOf } from '../src/nodes.ts'
import { adapted, asCommonJs, onNodeSqlite, visits, withoutTopLevelAwait } from '../src/quick-start.ts'
import { Registry } from '../src/registry.ts'
import { attempt, run } from '../src/run.ts'
import { type StoreUse, serverFor, stores } from '../src/stores.ts'
import { type Manifest, publishedPackages, readManifest, root } from '../src/workspace.ts'

const SLOW = { timeout: 180_000 }
const core = '@session-stores/core'
const plugin = ['fastify', '@fastify/cookie', '@fastify/session']
const packages = publishedPackages().map(({ short, manifest }) => ({ short, name: manifest.name }))

let registry: Registry
let clone: Clone
let nodes: [string, string]
/** The version of each package that this release gives it, by its folder. */
let released: Record<string, string> = {}
let published = false
const tokens: string[] = []
const disposals: (() => unknown)[] = []

beforeAll(async () => {
  registry = await Registry.start()
  disposals.push(() => registry.stop())
  clone = await Clone.make()
  disposals.push(() => clone.remove())
  nodes = [await nodeOf(22), await nodeOf(24)]
}, SLOW.timeout)

afterAll(async () => {
  for (const dispose of disposals.reverse()) await dispose()
}, SLOW.timeout)

function newConsumer(): Consumer {
  assert(published, 'nothing was published')
  const consumer = new Consumer(registry)
  disposals.push(() => consumer.remove())
  return consumer
}

describe('the next release', () => {
  test('gives the packages the versions and changelogs that the changesets ask for', SLOW, async () => {
    const before = versions()
    const pending = clone.pending()
    // None are left when the version pull request has just been merged
    if (pending.length > 0) await clone.script('version')
    released = versions()
    const raised = packages.filter(({ short }) => released[short] !== before[short])
    for (const short of pending) assert.notEqual(released[short], before[short], `${short} is not released`)
    for (const { short, name } of raised) {
      if (before[short] === '0.0.0') assert.equal(released[short], '0.1.0')
      assert(changelog(short).startsWith(`# ${name}\n\n## ${released[short]}\n`), changelog(short))
    }
    const changed = (await clone.status())
      .map((line) => line.slice(3))
      .filter((file) => !file.startsWith('.changeset/'))
    const expected = raised.flatMap(({ short }) => [`packages/${short}/CHANGELOG.md`, `packages/${short}/package.json`])
    assert.deepEqual(changed.sort(), expected.sort())
    await clone.commit('Version packages')
  })

  test('publishes all packages, and tags them', SLOW, async () => {
    await publish()
    const tags = packages.map(({ short, name }) => `${name}@${released[short]}`)
    assert.deepEqual(await clone.tags(), tags)
    assert.deepEqual(await clone.status(), [])
    published = true
  })

  test('does nothing when it is done again', SLOW, async () => {
    await publish()
    for (const { short, name } of packages) assert.deepEqual(await registry.versions(name), [released[short]])
  })
})

const [programs, libraries] = [true, false].map((is) =>
  packages.filter(({ short }) => (stores[short]?.isProgram ?? false) === is),
) as [typeof packages, typeof packages]

describe.each(libraries)('$name, as a user installs it', ({ short, name }) => {
  const use = stores[short] ?? assert.fail(`nothing is known of ${name}`)
  const { driver, needsDriver, types } = use
  const page = `packages/${short}/README.md`
  let user: Consumer
  let manifest: Manifest

  beforeAll(() => {
    user = newConsumer()
    manifest = manifestOf(short)
  })

  test('is as small as the README says', SLOW, async () => {
    await user.install('--legacy-peer-deps', name)
    checkSize(user, name)
  })

  if (driver !== undefined) {
    test('says what to install when its driver is missing', SLOW, async () => {
      const ways = { module: `import '${name}'`, commonjs: `require('${name}')` }
      for (const [type, program] of Object.entries(ways)) {
        const { code, output } = await attempt(nodes[0], [`--input-type=${type}`, '-e', program], user.folder)
        // Every store loads without its driver: it is the application's import that fails
        assert.equal(code, 0, output)
      }
      const own = await attempt(nodes[0], ['--input-type=module', '-e', `import '${driver}'`], user.folder)
      assert.match(own.output, new RegExp(`Cannot find package '${driver}'`))
      if (needsDriver !== undefined) {
        const { code, output } = await attempt(nodes[0], ['--input-type=commonjs', '-e', needsDriver], user.folder)
        assert.notEqual(code, 0)
        assert(output.includes(`npm install ${driver}`), output)
        return
      }
      const listed = await user.list()
      assert.notEqual(listed.code, 0)
      assert.match(listed.output, new RegExp(`missing: ${driver}@.*, required by ${name}@`))
    })

    test('says which driver it needs when there is one that it cannot use', SLOW, async () => {
      const { code, output } = await user.tryInstall(name, `${driver}@0`)
      assert.notEqual(code, 0)
      assert(
        output.includes(`${driver}@"${manifest.peerDependencies?.[driver]}" from ${name}@${released[short]}`),
        output,
      )
    })
  }

  test('brings core and its driver, and no other store or driver', SLOW, async () => {
    const asked = installLineOf(page)
    await user.install(...asked, ...plugin.filter((one) => !asked.includes(one)))
    const installed = [...user.installed().keys()].map((place) => place.replace(/^.*node_modules\//, ''))
    const drivers = Object.values(stores).flatMap((store) => store.driver ?? [])
    assert.deepEqual(
      installed.filter((one) => one.startsWith('@session-stores/') || drivers.includes(one)).sort(),
      broughtWith(name, use),
    )
    const { code, output } = await user.list()
    assert.equal(code, 0, output)
  })

  test('is published with what the repository says of it', () => checkManifest(user, name, manifest))

  test('compiles with its quick start, strictly, with all declarations', SLOW, async () => {
    await user.install('--save-dev', '@types/node@22', ...types)
    user.write('package.json', JSON.stringify({ ...user.manifest(), type: 'module' }))
    const { typed } = quickStartOf(page)
    user.write('quick-start.ts', typed)
    user.write('in-commonjs.cts', withoutTopLevelAwait(typed))
    await user.compile('bundler', 'quick-start.ts')
    await user.compile('nodenext', 'quick-start.ts', 'in-commonjs.cts')
  })

  // scripts/test.mjs says when a server is left out
  if (process.env[`SKIP_${short.toUpperCase()}`] === '1') return
  test('runs its quick start as an ES module and as CommonJS, on Node 22 and 24', SLOW, async () => {
    const server = await serverFor(short)
    try {
      const program = adapted(quickStartOf(page).code, server.addresses)
      const paths = [user.write('quick-start.mjs', program), user.write('quick-start.cjs', asCommonJs(program))]
      for (const path of paths) {
        const all = await Promise.all(nodes.map((node) => visits(node, path, user.folder, 3)))
        for (const three of all) {
          assert.deepEqual(
            three.map(({ status, body }) => [status, JSON.parse(body)]),
            [1, 2, 3].map((visits) => [200, { visits }]),
          )
        }
      }
    } finally {
      await server.stop()
    }
  })
})

describe.each(programs)('$name, as a user runs it', ({ short, name }) => {
  test('is as small as the README says, and is published with what the repository says of it', SLOW, async () => {
    const user = newConsumer()
    await user.install(name)
    checkSize(user, name)
    checkManifest(user, name, manifestOf(short))
  })

  test('runs beside the store and the driver of an application, on Node 22 and 24', SLOW, async () => {
    const user = newConsumer()
    await user.install(name, ...installLineOf('packages/sqlite/README.md'))
    const make = "new (require('@session-stores/sqlite').SqliteStore)({ path: 'sessions.sqlite' }).set('id', {})"
    await run(nodes[0], ['-e', make], user.folder)
    const program = join(user.folder, 'node_modules', '.bin', 'session-stores')
    for (const node of nodes) {
      assert.match(await run(node, [program, '--help'], user.folder), /^Usage: session-stores /)
      assert.equal(await run(node, [program, 'count', '--sqlite', 'sessions.sqlite'], user.folder), '1\n')
    }
    const { output } = await attempt(nodes[0], [program, 'count', '--redis', 'redis://localhost'], user.folder)
    assert.match(output, /@session-stores\/redis is not installed in /)
  })
})

describe('the program in the root README', () => {
  test('compiles and runs after the install line above it', SLOW, async () => {
    const user = newConsumer()
    await user.install(...installLineOf('README.md'))
    await user.install('--save-dev', '@types/node@22')
    user.write('package.json', JSON.stringify({ ...user.manifest(), type: 'module' }))
    const { code } = quickStartOf('README.md')
    assert(code.trim().split('\n').length <= 24, 'it is called twenty lines')
    user.write('quick-start.ts', code)
    await user.compile('nodenext', 'quick-start.ts')
    const path = user.write('quick-start.mjs', adapted(code, []))
    for (const { status, body } of await visits(nodes[1], path, user.folder, 2)) {
      assert.equal(status, 200)
      assert.match(body, /\w/)
    }
  })
})

describe('without a native package', () => {
  test('the quick start runs on node:sqlite, on Node 22 and 24', SLOW, async () => {
    const user = newConsumer()
    await user.install('@session-stores/sqlite', ...plugin)
    assert(!user.installed().has('better-sqlite3'))
    const path = user.write('quick-start.mjs', adapted(onNodeSqlite(), []))
    for (const node of nodes) {
      const all = await visits(node, path, user.folder, 3)
      assert.deepEqual(
        all.map(({ body }) => JSON.parse(body)),
        [1, 2, 3].map((visits) => ({ visits })),
      )
    }
    assert(existsSync(join(user.folder, 'sessions.sqlite')))
  })
})

describe('the recipe for Jest', () => {
  test('runs as it stands on the page', SLOW, async () => {
    const samples = samplesOf('docs/recipes.md')
    const settings = samples.find(({ language, code }) => language === 'json' && code.includes('"jest"'))
    const sample = samples.find(({ copyOf }) => copyOf?.includes('/jest/'))
    assert(settings && sample)
    const user = newConsumer()
    await user.install('@session-stores/fastify', '@session-stores/core', ...plugin, 'jest@30')
    user.write('package.json', JSON.stringify({ ...user.manifest(), ...JSON.parse(settings.code) }))
    user.write('sessions.test.mjs', sample.code)
    const { code, output } = await attempt('npm', ['test'], user.folder)
    assert.equal(code, 0, output)
    assert.match(output, /Tests: +1 passed, 1 total/)
  })
})

describe('a fix of core', () => {
  test('is a release of core alone, which the stores take', SLOW, async () => {
    assert(published, 'nothing was published')
    clone.changeset('a-fix', { core: 'patch' }, 'Mends something.')
    await clone.script('version')
    const fixed = raise(released.core, 'patch')
    assert.deepEqual(versions(), { ...released, core: fixed })
    assert(newest('core').startsWith(`## ${fixed}\n\n### Patch Changes\n\n- `), newest('core'))
    assert(newest('core').includes('Mends something.'))
    await clone.undo()
  })
})

describe('a breaking change of core', () => {
  const text = 'newVersion is now called freshVersion.'
  const broken: Record<string, string> = {}

  test('breaks the stores too, and their changelogs say so', SLOW, async () => {
    assert(published, 'nothing was published')
    const overCore = packages.filter(({ short, name }) => name === core || manifestOf(short).dependencies?.[core])
    assert(overCore.length >= 5)
    Object.assign(broken, released)
    for (const { short } of overCore) broken[short] = raise(released[short], breaking(released[short]))
    clone.replace('packages/*/src/**/*.ts', 'newVersion', 'freshVersion')
    clone.changeset('a-break', { core: breaking(released.core), redis: 'patch' }, text)
    await clone.commit('Rename')
    await clone.script('version')
    assert.deepEqual(versions(), broken)
    for (const { short } of overCore) {
      const heading = breaking(released[short]) === 'minor' ? 'Minor Changes' : 'Major Changes'
      assert(newest(short).startsWith(`## ${broken[short]}\n\n### ${heading}\n\n- `), newest(short))
      assert(newest(short).includes(text))
      if (short !== 'core') assert(newest(short).includes(`${core}@${broken.core}`))
    }
    await clone.commit('Version packages')
    await publish()
    for (const { short, name } of packages) {
      assert.deepEqual(await registry.versions(name), [...new Set([released[short], broken[short]])])
    }
  })

  test('leaves users where they were until they ask for it', SLOW, async () => {
    const user = newConsumer()
    await user.install(`@session-stores/sqlite@^${released.sqlite}`)
    assert.deepEqual(ours(user), { [core]: released.core, '@session-stores/sqlite': released.sqlite })
    await user.install('@session-stores/sqlite@latest')
    assert.deepEqual(ours(user), { [core]: broken.core, '@session-stores/sqlite': broken.sqlite })
  })

  test('beside an old store: each has the core that it asks for, and the program runs', SLOW, async () => {
    const user = newConsumer()
    const page = 'packages/sqlite/README.md'
    const others = installLineOf(page).filter((one) => !one.startsWith('@session-stores/'))
    const mixed = [`@session-stores/sqlite@${released.sqlite}`, `${core}@${broken.core}`]
    await user.install(...mixed, ...new Set([...others, ...plugin]))
    assert.deepEqual(ours(user), {
      [core]: broken.core,
      '@session-stores/sqlite': released.sqlite,
      [`@session-stores/sqlite/node_modules/${core}`]: released.core,
    })
    assert.equal((await user.list()).code, 0)
    await user.install('--save-dev', '@types/node@22')
    user.write('package.json', JSON.stringify({ ...user.manifest(), type: 'module' }))
    user.write('quick-start.ts', `import { freshVersion } from '${core}'\nfreshVersion()\n${quickStartOf(page).typed}`)
    const folder = await user.compile('nodenext', 'quick-start.ts')
    const compiled = readFileSync(join(folder, 'quick-start.js'), 'utf8')
    const path = user.write('quick-start.mjs', adapted(compiled, []))
    for (const { status } of await visits(nodes[1], path, user.folder, 2)) assert.equal(status, 200)
  })
})

test('no token is in a file of the clone', SLOW, async () => {
  assert(tokens.length >= 3)
  for (const token of tokens)
    assert.equal((await attempt('grep', ['-rlF', '--exclude-dir=node_modules', token, '.'], clone.folder)).code, 1)
})

/** Of our packages and their drivers, what is there after the install line of a package's page. */
function broughtWith(name: string, { driver, store }: StoreUse): string[] {
  const its = store === undefined ? [] : [`@session-stores/${store}`, stores[store]?.driver]
  return [...new Set([core, name, driver, ...its])].filter((one) => one !== undefined).sort()
}

async function publish(): Promise<void> {
  tokens.push(await clone.publish(registry))
}

function changelog(short: string): string {
  return readFileSync(join(clone.folder, 'packages', short, 'CHANGELOG.md'), 'utf8')
}

/** What a changelog says of the newest version. */
function newest(short: string): string {
  return changelog(short).split(/^(?=## )/m)[1] ?? ''
}

function manifestOf(short: string): Manifest {
  return readManifest(join(clone.folder, 'packages', short))
}

function versions(): Record<string, string> {
  return Object.fromEntries(packages.map(({ short }) => [short, manifestOf(short).version]))
}

/** The least bump after which `^version` does not match any more. */
function breaking(version = ''): 'minor' | 'major' {
  return version.startsWith('0.') ? 'minor' : 'major'
}

function raise(version = '', bump: 'patch' | 'minor' | 'major'): string {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  if (bump === 'patch') return `${major}.${minor}.${patch + 1}`
  return bump === 'minor' ? `${major}.${minor + 1}.0` : `${major + 1}.0.0`
}

/** What there is of ours in a user's node_modules. */
function ours(user: Consumer): Record<string, string> {
  return Object.fromEntries([...user.installed()].filter(([place]) => place.startsWith('@session-stores/')))
}

function checkSize(user: Consumer, name: string): void {
  const said = sizeInReadme(name)
  const is = { packages: user.installed().size, kilobytes: Math.round(user.bytes() / 1000) }
  const near = Math.abs(is.kilobytes - said.kilobytes) <= is.kilobytes / 10
  assert(near && is.packages === said.packages, `the README says ${inspect(said)} of ${name}, but it is ${inspect(is)}`)
}

/** What npm got, against the manifest in the repository. */
function checkManifest(user: Consumer, name: string, manifest: Manifest): void {
  const theirs = readManifest(join(user.folder, 'node_modules', name))
  const rewritten = { dependencies: {}, devDependencies: {} }
  assert.deepEqual({ ...theirs, ...rewritten }, { ...manifest, ...rewritten })
  const ranges = Object.entries(manifest.dependencies ?? {})
  const expected = ranges.map(([one, range]) => [one, range === 'workspace:^' ? `^${released.core}` : range])
  assert.deepEqual(theirs.dependencies ?? {}, Object.fromEntries(expected))
}

/** From the table in the root README: how many packages, and how many kB. */
function sizeInReadme(name: string): { packages: number; kilobytes: number } {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const row = new RegExp(`^\\| \`${name}\` \\| (\\d+) \\| (\\d+) kB \\|`, 'm').exec(readme)
  assert(row, `the README does not say how large ${name} is`)
  return { packages: Number(row[1]), kilobytes: Number(row[2]) }
}
