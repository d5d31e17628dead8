// The documentation: its code compiles, its copies are copies, its links lead somewhere.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, test } from 'vitest'
import { installLineOf, pages, quickStartOf, type Sample, samplesOf } from '../src/markdown.ts'
import { withPrelude } from '../src/prelude.ts'
import { stores } from '../src/stores.ts'
import { publishedPackages, root } from '../src/workspace.ts'

const run = promisify(execFile)
// Inside this package, so that the code finds the packages that this one depends on
const scratch = fileURLToPath(new URL('../.cache/samples', import.meta.url))

/** What the pages for authors of stores import as theirs. */
const theirs = `
import { MemoryStore, type StoreOptions } from '@session-stores/core'
export class MyStore extends MemoryStore {
  constructor(options: StoreOptions & { client?: unknown; prefix?: string; path?: string }) { super(options) }
}
export { MyStore as LmdbStore }
`

beforeAll(() => {
  rmSync(scratch, { recursive: true, force: true })
  mkdirSync(join(scratch, 'src'), { recursive: true })
  writeFileSync(join(scratch, 'src', 'index.ts'), theirs)
})

const withCode = pages().filter((page) => codeOf(page).length > 0)

describe.each(withCode)('%s', (page) => {
  test('its code compiles', async () => {
    const folder = join(scratch, page.replaceAll('/', '-'))
    mkdirSync(folder, { recursive: true })
    for (const { line, language, code } of codeOf(page)) {
      const whole = withPrelude(code, page)
      // Declarations are for TypeScript only, in which JavaScript will do
      const extension = /^declare /m.test(whole) ? 'ts' : language
      writeFileSync(join(folder, `line-${line}.${extension}`), whole)
    }
    const config = {
      extends: join(root, 'tsconfig.base.json'),
      compilerOptions: { noEmit: true, allowJs: true, checkJs: true, rootDir: '/' },
      include: ['*'],
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    await run('tsc', ['-p', folder, '--pretty', 'false']).catch(({ stdout }) => assert.fail(stdout))
  })
})

describe.each(pages())('%s', (page) => {
  test('what it calls a copy is one', () => {
    for (const { copyOf, code } of samplesOf(page)) {
      if (copyOf) assert.equal(code, readFileSync(join(root, copyOf), 'utf8'), `not a copy of ${copyOf}`)
    }
  })

  test('its links within the repository lead somewhere', () => {
    const text = readFileSync(join(root, page), 'utf8').replace(/^```[\s\S]*?^```$/gm, '')
    for (const [, link = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      const [path = '', anchor] = link
        .replace('https://github.com/session-stores/session-stores/blob/main/', `/`)
        .split('#')
      if (/^[a-z]+:/.test(path)) continue
      const target = path === '' ? page : path.startsWith('/') ? path.slice(1) : join(dirname(page), path)
      assert(existsSync(join(root, target)), `${link} is not there`)
      if (anchor && target.endsWith('.md')) assert(anchors(target).includes(anchor), `${link}: no such heading`)
    }
  })
})

describe.each([
  { page: 'README.md', name: '@session-stores/sqlite' },
  ...publishedPackages()
    .filter(({ short }) => !stores[short]?.isProgram)
    .map(({ short, manifest }) => ({ page: `packages/${short}/README.md`, name: manifest.name })),
])('$page, to begin with', ({ page, name }) => {
  test('has a whole program', () => {
    assert(quickStartOf(page).code.includes(`from '${name}'`))
  })

  test('says what to install for it', () => {
    const installed = installLineOf(page)
    const imports = [...quickStartOf(page).code.matchAll(/from '([^']+)'/g)].map(([, specifier]) => specifier ?? '')
    const { manifest } = publishedPackages().find((one) => one.manifest.name === name) ?? assert.fail()
    const needed = [...imports, ...Object.keys(manifest.peerDependencies ?? {})]
    const missing = needed.filter((one) => !installed.includes(one))
    const plugin = ['fastify', '@fastify/cookie', '@fastify/session']
    // A package's page may take it that its reader has Fastify and the plugin
    assert.deepEqual(page === 'README.md' ? missing : missing.filter((one) => !plugin.includes(one)), [])
  })
})

/** A copy is compiled where it was copied from. */
function codeOf(page: string): Sample[] {
  return samplesOf(page).filter(({ language, copyOf }) => (language === 'ts' || language === 'js') && !copyOf)
}

test('a store for another database takes under 100 lines', () => {
  const [store] = samplesOf('docs/new-store.md')
  assert.equal(store?.copyOf, 'examples/lmdb-store/src/index.ts')
  assert(store.code.split('\n').length <= 100)
})

/** The anchors that GitHub gives to the headings of a page. */
function anchors(page: string): string[] {
  const text = readFileSync(join(root, page), 'utf8').replace(/^```[\s\S]*?^```$/gm, '')
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  )
}
