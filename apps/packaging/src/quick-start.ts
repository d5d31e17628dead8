import { freePort, ServerProcess, until } from '@session-stores/testing'
import { userEnvironment } from './environment.ts'
import { quickStartOf, samplesOf } from './markdown.ts'

/** A server that a page's program talks to: where the page says it is, and where it is here. */
export interface Address {
  said: RegExp
  is: string
}

/** The program of a page, with nothing changed but where it listens and where its server is. */
export function adapted(code: string, addresses: Address[]): string {
  const listens = [{ said: /port: 3000/, is: 'port: Number(process.env.PORT)' }]
  return [...listens, ...addresses].reduce((text, { said, is }) => {
    if (!said.test(text)) throw new Error(`the program does not say ${said}:\n${code}`)
    return text.replace(said, is)
  }, code)
}

/** A program as somebody writes it who has CommonJS: `require()`, and no `await` at the top. */
export function asCommonJs(code: string): string {
  const requires = code
    .replace(/^import (\w+), (\{[^}]*\}) from ('[^']+');?$/gm, 'const $1 = require($3)\nconst $2 = $1')
    .replace(/^import (\w+) from ('[^']+');?$/gm, 'const $1 = require($2)')
    .replace(/^import (?:\* as (\w+)|(\{[^}]*\})) from ('[^']+');?$/gm, 'const $1$2 = require($3)')
  if (/^(import|export)\b/m.test(requires)) throw new Error(`cannot be turned to CommonJS:\n${code}`)
  return `async function main() {\n${requires}\n}\nmain().catch((error) => {\n  console.error(error)\n  process.exit(1)\n})\n`
}

/** A program in TypeScript as it must be in a CommonJS file: the same imports, and no `await` at the top. */
export function withoutTopLevelAwait(code: string): string {
  const start = code.search(/^const /m)
  return `${code.slice(0, start)}async function main() {\n${code.slice(start)}}\nvoid main()\n`
}

/** The program of SQLite's page, with the lines for Node's own driver in the root README. */
export function onNodeSqlite(): string {
  const driver = samplesOf('README.md').find(({ code }) => code.includes("from 'node:sqlite'"))
  const { code } = quickStartOf('packages/sqlite/README.md')
  return `${driver?.code}${code.replace(/^import \{ SqliteStore \}.*\n/m, '').replace(/^const store = .*\n/m, '')}`
}

export interface Visit {
  status: number
  body: string
  cookie: string | undefined
}

/**
 * Runs a program that listens on PORT, and visits it so often, as one browser. Then asks it to end.
 * @param runtime the program that runs it, and its options if any
 */
export async function visits(runtime: string | string[], path: string, cwd: string, times: number): Promise<Visit[]> {
  const port = await freePort()
  const [command = '', ...options] = [runtime].flat()
  const server = new ServerProcess(command, [...options, path], { cwd, env: { ...userEnvironment(), PORT: `${port}` } })
  const all: Visit[] = []
  try {
    let cookie: string | undefined
    for (let i = 0; i < times; i += 1) {
      const answer = await until(`${path} answers`, () => {
        if (!server.alive) throw new Error(server.output)
        return fetch(`http://127.0.0.1:${port}/`, { headers: cookie ? { cookie } : {} })
      })
      cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? cookie
      all.push({ status: answer.status, body: await answer.text(), cookie })
    }
  } finally {
    await server.stop()
  }
  return all
}
