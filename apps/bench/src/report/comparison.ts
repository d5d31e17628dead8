import type { Whose } from '../bench.ts'
import { cases } from '../correctness/cases.ts'
import type { CorrectnessRow } from '../correctness/level.ts'
import type { Results } from '../results.ts'
import { settingText } from './benchmarks.ts'
import { label, table } from './format.ts'

/** The page: path -> text; nothing when it was not measured. */
export function comparisonPage({ correctness }: Results): Record<string, string> {
  if (correctness === undefined) return {}
  const { found, setting } = correctness
  const text = `# Comparison

What stores for \`@fastify/session\` do in the awkward cases, tried through a real Fastify with the plugin, with real cookies, on real servers.
Speed is in [the benchmarks](benchmarks.md). Written by \`npm run bench -- --only correctness\`.

${table(
  ['', ...titles],
  stores(found).map((store) => [label(store), ...titles.map((title) => mark(found, store, title))]),
  true,
)}

✓ is as promised below, ✗ is not, – does not concern it.

## The cases

${cases.map(({ title, promise }) => `- **${title}**: ${promise.replace(/\s+/g, ' ')}`).join('\n')}

\`@fastify/secure-session\` has no column, since it stores nothing: by design, a cookie from before a log-out stays good.

## What was seen

${cases.map(({ title }) => `### ${title}\n\n${seen(found, title)}`).join('\n\n')}

## Machine and versions

${settingText(setting)}
`
  return { 'comparison.md': text }
}

const titles = cases.map(({ title }) => title)

function stores(rows: CorrectnessRow[]): Whose[] {
  return rows.filter(({ title }) => title === titles[0])
}

function mark(rows: CorrectnessRow[], { label }: Whose, title: string): string {
  const verdict = rows.find((row) => row.label === label && row.title === title)?.verdict
  if (!verdict) return '–'
  return verdict.kept ? '✓' : verdict.kept === false ? '**✗**' : '?'
}

/** A line for each thing that was seen, with all the stores where it was. */
function seen(rows: CorrectnessRow[], title: string): string {
  const byText = new Map<string, string[]>()
  for (const row of rows) {
    if (row.title !== title || !row.verdict) continue
    const text = `${mark([row], row, title)} ${row.verdict.seen}`
    byText.set(text, [...(byText.get(text) ?? []), label(row)])
  }
  return [...byText].map(([text, names]) => `- ${text}: ${names.join(', ')}`).join('\n') || 'Not tried.'
}
