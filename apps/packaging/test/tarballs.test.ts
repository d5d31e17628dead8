// What npm would be given: packed as a release packs it, and looked at by the tools of the trade.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import { checkPackage, createPackageFromTarballData, type Problem } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { stores } from '../src/stores.ts'
import { type Manifest, publishedPackages } from '../src/workspace.ts'

const packages = publishedPackages()
const scratch = mkdtempSync(join(tmpdir(), 'tarballs-'))
afterAll(() => rmSync(scratch, { recursive: true }))

test('what is meant to be published is, and nothing else', () => {
  assert.deepEqual(
    packages.map(({ manifest }) => manifest.name),
    Object.keys(stores)
      .sort()
      .map((name) => `@session-stores/${name}`),
  )
})

describe.each(packages)('$manifest.name', ({ short, folder, manifest }) => {
  let tarball: Uint8Array
  let files: Map<string, string>
  let packed: Manifest

  beforeAll(() => {
    const path = join(scratch, `${short}.tgz`)
    execFileSync('pnpm', ['pack', '--out', path], { cwd: folder, stdio: 'pipe' })
    tarball = readFileSync(path)
    const content = createPackageFromTarballData(tarball)
    const start = `/node_modules/${manifest.name}/`
    files = new Map(content.listFiles().map((file) => [file.slice(start.length), content.readFile(file)]))
    packed = JSON.parse(files.get('package.json') ?? '')
  })

  test('publint has nothing to say', async () => {
    const { buffer, byteOffset, byteLength } = tarball
    const data = buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer
    const { messages } = await publint({ pack: { tarball: data }, level: 'suggestion', strict: true })
    assert.deepEqual(
      messages.map((message) => formatMessage(message, packed)),
      [],
    )
  })

  // It is not imported, so it has none.
  const { isProgram = false } = stores[short] ?? {}

  test.skipIf(isProgram)('the types are right, for every way to import them that there is', async () => {
    const result = await checkPackage(createPackageFromTarballData(tarball))
    assert(result.types)
    assert.deepEqual(
      result.problems.filter((problem) => !isMeant(problem)),
      [],
    )
    assert.deepEqual(Object.keys(result.entrypoints), Object.keys(manifest.exports ?? {}))
  })

  test('ships what it needs, and nothing else', () => {
    const others = [...files.keys()].filter((file) => !/^dist\/[\w/-]+\.(js|d\.ts|cjs|d\.cts)$/.test(file))
    assert.deepEqual(others.sort(), ['LICENSE', 'README.md', 'package.json'])
    for (const [file, text] of files) {
      assert(!text.includes('sourceMappingURL'), `${file} points to a source map`)
      if (!isProgram && /\.c?js$/.test(file))
        assert(files.has(file.replace(/\.(c?)js$/, '.d.$1ts')), `${file} has no types`)
    }
  })

  test('imports only what it ships, what it depends on, and Node', () => {
    const allowed = Object.keys({ ...packed.dependencies, ...packed.peerDependencies })
    const used = new Set<string>()
    for (const [file, text] of files) {
      for (const specifier of file.startsWith('dist/') ? importsOf(text) : []) {
        if (specifier.startsWith('node:')) continue
        if (specifier.startsWith('.')) {
          // The compiler leaves ./x.ts in declarations as it is, and takes it there for ./x.d.ts
          const path = file.endsWith('.d.ts') ? specifier.replace(/\.[jt]s$/, '.d.ts') : specifier
          const target = posix.join(posix.dirname(file), path)
          assert(files.has(target), `${file} imports ${specifier}, which is not there`)
          continue
        }
        const name = /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? ''
        assert(allowed.includes(name), `${file} imports ${specifier}, which package.json does not name`)
        used.add(name)
      }
    }
    for (const name of Object.keys(packed.dependencies ?? {})) assert(used.has(name), `${name} is not used`)
  })

  test('says what it is, where it lives and what it runs on', () => {
    assert.equal(packed.license, 'MIT')
    assert.match(files.get('LICENSE') ?? '', /^MIT License/)
    assert((packed.description ?? '').includes('@fastify/session'))
    for (const keyword of ['fastify', 'session', 'store', 'fastify-session']) assert(packed.keywords?.includes(keyword))
    assert.deepEqual(packed.repository, {
      type: 'git',
      url: 'git+https://github.com/session-stores/session-stores.git',
      directory: `packages/${short}`,
    })
    assert.equal(packed.homepage, `https://github.com/session-stores/session-stores/tree/main/packages/${short}#readme`)
    assert.equal(packed.bugs, 'https://github.com/session-stores/session-stores/issues')
    assert.equal(packed.type, 'module')
    assert.equal(packed.sideEffects, false)
    assert.match(packed.engines?.node ?? '', /^>=22\.1\d$/)
    assert.deepEqual(packed.publishConfig, { access: 'public', provenance: true })
    assert.equal(packed.optionalDependencies, undefined)
  })

  test('is small', () => {
    const dependencies = Object.keys(packed.dependencies ?? {})
    // The kit is for tests of stores: no application loads it.
    const loaded = [...files].filter(([path]) => path.endsWith('.js') && !path.includes('/conformance/'))
    const bytes = loaded.reduce((sum, [, text]) => sum + Buffer.byteLength(text), 0)
    assert(dependencies.length <= 2, dependencies.join(', '))
    assert(bytes < 150_000, `${bytes} bytes of code`)
  })
})

/**
 * The two ways that are meant to fail. These packages are ES modules: Node 22.12 and later can `require()` them, and so
 * they ask for it; the tool does not know. And the oldest way of TypeScript to find a module, which it removed
 * in version 7, finds a package by its `main` and `types` and knows no `exports`, so no subpath.
 */
function isMeant(problem: Problem): boolean {
  if (problem.kind === 'CJSResolvesToESM') return problem.resolutionKind === 'node16-cjs'
  return problem.kind === 'NoResolution' && problem.resolutionKind === 'node10' && problem.entrypoint !== '.'
}

function importsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  return [...code.matchAll(/(?:\bfrom|\bimport|\bimport\(|\brequire\()\s*'([^']+)'/g)].map((match) => match[1] ?? '')
}
