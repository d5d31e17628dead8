import type { Whose } from '../bench.ts'

/** Three digits: `1.23M`, `45.6k`, `789`. */
export function count(value: number | null | undefined): string {
  if (!isNumber(value)) return '–'
  if (value >= 999_500) return `${digits(value / 1e6)}M`
  if (value >= 999.5) return `${digits(value / 1e3)}k`
  return digits(value)
}

/** @param value in µs */
export function time(value: number | null | undefined): string {
  if (!isNumber(value)) return '–'
  return value >= 999.5 ? `${digits(value / 1000)} ms` : `${digits(value)} µs`
}

export function ratio(value: number | null | undefined): string {
  return isNumber(value) ? value.toFixed(2) : '–'
}

export function bytes(value: number | null | undefined): string {
  if (!isNumber(value)) return '–'
  return value >= 9995 ? `${digits(value / 1024)} KiB` : `${Math.round(value)} B`
}

/** Three digits, but no more than two after the point. */
export function digits(value: number): string {
  return value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)
}

/** Ours stand out. */
export function label({ label, role }: Whose): string {
  return role === 'ours' ? `**${label}**` : label
}

/** A Markdown table: the first column is words, the others are figures unless `words` says otherwise. */
export function table(head: string[], rows: string[][], words = false): string {
  const ruler = head.map((_, column) => (column === 0 || words ? '---' : '---:'))
  return [head, ruler, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** What is opened by a click. */
export function details(summary: string, content: string): string {
  return `<details>\n<summary>${summary}</summary>\n\n${content}\n\n</details>`
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && !Number.isNaN(value)
}
