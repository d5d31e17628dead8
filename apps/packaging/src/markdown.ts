import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './workspace.ts'

/** Every page of documentation in the checkout at `from`, as paths relative to it. */
export function pages(from: string = root): string[] {
  const patterns = ['*.md', 'docs/**/*.md', '.changeset/README.md', '{packages,apps,examples}/*/*.md']
  return globSync(patterns, { cwd: from, exclude: ['**/CHANGELOG.md'] }).sort()
}

export interface Sample {
  /** The page, relative to the root of the checkout. */
  page: string
  /** The line of the page on which the code begins. */
  line: number
  language: string
  code: string
  /** The file that the code is a copy of, when an HTML comment before it names one. */
  copyOf: string | undefined
}

/** The fenced code of a page, in order. */
export function samplesOf(page: string, from: string = root): Sample[] {
  const text = readFileSync(join(from, page), 'utf8')
  return [...text.matchAll(/(?:^<!-- copy of (\S+) -->\n+)?^```(\w*)\n([\s\S]*?)^```$/gm)].map((match) => {
    const [whole, copyOf, language = '', code = ''] = match
    const before = text.slice(0, match.index + whole.indexOf('```'))
    return { page, line: before.split('\n').length + 1, language, code, copyOf }
  })
}

export interface QuickStart {
  /** Plain JavaScript, an ES module. */
  code: string
  /** The same for TypeScript: with what the page has besides for that. */
  typed: string
}

/** The program that a page tells its reader to begin with: the first that is whole. */
export function quickStartOf(page: string, from: string = root): QuickStart {
  const samples = samplesOf(page, from)
  const at = samples.findIndex(({ language, code }) => language === 'js' && code.includes('.listen('))
  const { code } = samples[at] ?? {}
  if (code === undefined) throw new Error(`${page} has no whole program`)
  const next = samples[at + 1]
  const types = next?.language === 'ts' && next.code.startsWith('declare module') ? next.code : ''
  return { code, typed: `${types}\n${code}` }
}

/** The packages that a page tells its reader to install first. */
export function installLineOf(page: string, from: string = root): string[] {
  for (const { language, code } of samplesOf(page, from)) {
    const line = language === 'sh' && /^npm install (.*)$/m.exec(code)?.[1]
    if (line) return line.trim().split(/\s+/)
  }
  throw new Error(`${page} does not say what to install`)
}
