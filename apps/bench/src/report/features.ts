import type { FeatureRow } from '../features/level.ts'
import { label, ratio, table, time } from './format.ts'
import type { Section } from './section.ts'

export function featuresSection(rows: FeatureRow[]): Section {
  const works = [...new Set(rows.map(titleOf))]
  const labels = [...new Set(rows.map((row) => row.label))]
  const cells = (labels: string[], cell: (row: FeatureRow) => string) =>
    labels.map((name) => {
      const own = rows.filter((row) => row.label === name)
      return [label(own[0] as FeatureRow), ...own.map(cell)]
    })
  const withFeature = labels.filter((name) => rows.some((row) => row.label === name && row.feature !== undefined))
  return {
    charts: {},
    text: `## What features cost

Sessions by user (\`userOf\`) and sealed data (\`encryptionKeys\`) beside the same store as it comes: requests through the plugin, and
calls of the store by 64 callers. Sessions of about 300 B, each of another user.

CPU time of the application, relative to the store as it comes.

${table(
  ['', ...works],
  cells(withFeature, ({ toPlain }) => ratio(toPlain)),
)}

The same in µs for each.

${table(
  ['', ...works],
  cells(labels, ({ cpu }) => time(cpu)),
)}`,
  }
}

function titleOf({ what }: FeatureRow): string {
  return 'request' in what ? `requests: ${what.request}` : what.operation
}
