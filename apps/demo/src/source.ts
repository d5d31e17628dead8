import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('.', import.meta.url))
const contract = fileURLToPath(new URL('../../../docs/contract.md', import.meta.url))

export interface Rule {
  /** Such as `S21`. */
  id: string
  text: string
}

/** The demo's own code and the contract's rules, for its pages to show and to link to. */
export class Source {
  readonly #files = new Map<string, string[]>()
  readonly rules: Rule[]

  constructor() {
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts')) continue
      this.#files.set(name.replaceAll('\\', '/'), readFileSync(`${folder}${name}`, 'utf8').trimEnd().split('\n'))
    }
    const found = readFileSync(contract, 'utf8').matchAll(/^- \*\*([BS]\d+)\*\* (.+)$/gm)
    this.rules = [...found].map(([, id = '', text = '']) => ({ id, text }))
  }

  /** The lines of a file, by its path in src; undefined where there is none. */
  linesOf(file: string): string[] | undefined {
    return this.#files.get(file)
  }

  /**
   * The address of the first line that holds this text.
   * @throws Error when no line does: the code has moved on
   */
  readonly code = (file: string, text: string): string => {
    const line = this.#files.get(file)?.findIndex((each) => each.includes(text)) ?? -1
    if (line < 0) throw new Error(`src/${file} has no line with ${text}`)
    return `/source/${file}#L${line + 1}`
  }

  /** @throws Error when there is no such rule */
  readonly rule = (id: string): string => {
    if (!this.rules.some((rule) => rule.id === id)) throw new Error(`there is no rule ${id}`)
    return `/contract#${id}`
  }
}
