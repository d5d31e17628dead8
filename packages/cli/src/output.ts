import { createInterface } from 'node:readline'

/** How often the line that shows progress is written anew, in ms. */
const PROGRESS_INTERVAL = 200

/** Where the results go: as text for people, or as JSON, a value a line. */
export class Output {
  readonly isJson: boolean
  #isHeaderDue = true

  constructor(isJson: boolean) {
    this.isJson = isJson
  }

  /** One result. */
  write(value: object, text: string): void {
    process.stdout.write(`${this.isJson ? JSON.stringify(value) : text}\n`)
  }

  /** One row of a table. The last column is as wide as it needs to be. */
  row(value: object, columns: readonly Column[]): void {
    if (this.#isHeaderDue && !this.isJson) {
      this.#isHeaderDue = false
      process.stdout.write(`${lineOf(columns.map(({ name, width }) => ({ width, text: name })))}\n`)
    }
    this.write(value, lineOf(columns))
  }

  /** What is of no use to a program. */
  remark(text: string): void {
    if (!this.isJson) process.stdout.write(`${text}\n`)
  }
}

export interface Column {
  name: string
  width: number
  text: string
}

function lineOf(columns: readonly Omit<Column, 'name'>[]): string {
  return columns
    .map(({ text, width }) => text.padEnd(width))
    .join('  ')
    .trimEnd()
}

/** Shows on a terminal that long work goes on, and how far it is. */
export class Progress {
  readonly #what: string
  readonly #begun = performance.now()
  readonly #timer: NodeJS.Timeout | undefined
  #count: number | undefined

  /**
   * @param what is being done: `counting`
   * @param isAlone whether nothing else is written meanwhile, which would be on the same line of a terminal
   */
  constructor(what: string, isAlone = true) {
    this.#what = what
    if (process.stderr.isTTY && (isAlone || !process.stdout.isTTY))
      this.#timer = setInterval(() => this.#show(), PROGRESS_INTERVAL)
  }

  set(count: number): void {
    this.#count = count
  }

  end(): void {
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    process.stderr.write('\r\x1b[K')
  }

  #show(): void {
    const seconds = Math.round((performance.now() - this.#begun) / 1000)
    const count = this.#count === undefined ? '' : ` ${numberText(this.#count)}`
    process.stderr.write(`\r${this.#what}:${count} (${seconds} s)\x1b[K`)
  }
}

/** Does the work, and shows how far it is. */
export async function withProgress<T>(
  what: string,
  work: (progress: Progress) => Promise<T>,
  isAlone?: boolean,
): Promise<T> {
  const progress = new Progress(what, isAlone)
  try {
    return await work(progress)
  } finally {
    progress.end()
  }
}

/** Asks, and takes all but yes for no, the end of the input too. */
export async function confirm(question: string): Promise<boolean> {
  process.stderr.write(`${question} [y/N] `)
  const lines = createInterface({ input: process.stdin })
  for await (const line of lines) return /^y(es)?$/i.test(line.trim())
  process.stderr.write('\n')
  return false
}

export function numberText(value: number): string {
  return value.toLocaleString('en-US')
}

export function sessionsText(count: number): string {
  return `${numberText(count)} ${count === 1 ? 'session' : 'sessions'}`
}

/** To the second, in UTC. */
export function timeText(ms: number): string {
  return new Date(ms)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z')
}

/** What users or servers may have chosen, such as names: on a terminal, control characters could do anything. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0)?.toString(16).padStart(4, '0')
    return `\\u{${code}}`
  })
}
