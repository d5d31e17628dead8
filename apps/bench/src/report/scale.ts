import type { ScaleResults, ScaleRow } from '../scale/level.ts'
import { lineChart } from './charts.ts'
import { bytes, count, digits, label, ratio, table, time } from './format.ts'
import type { Section } from './section.ts'

export async function scaleSection({ sizes, prunes }: ScaleResults): Promise<Section> {
  const chart = await lineChart(
    sizes.map((row) => ({ ...row, value: row.lone.p50 })),
    { title: 'A lone get among stored sessions', unit: 'median latency in µs' },
  )
  const pruning = prunes.length > 0 ? `\n\n${pruneTable(prunes)}` : ''
  return {
    charts: { 'scale.svg': chart },
    text: `## Scale

Stores that were filled through themselves, with sessions of about 300 B that are read at random. In brackets: times the latency with the
fewest sessions.

![A lone get among stored sessions](benchmarks/scale.svg)

${table(
  ['', 'sessions', 'filled per second', 'lone get, p50', 'get, 64 callers', 'p99', 'bytes per session'],
  sizes.map((row) => [
    label(row),
    count(row.sessions),
    count(row.filledPerSecond),
    `${time(row.lone.p50)} (${ratio(row.lone.p50 / smallest(row, sizes).lone.p50)})`,
    `${count(row.busy.perSecond)}/s`,
    time(row.busy.p99),
    bytes(row.bytesPerSession),
  ]),
)}${pruning}`,
  }
}

/** The same store with the fewest sessions. */
function smallest(row: ScaleRow, rows: ScaleRow[]): ScaleRow {
  return rows.find(({ label }) => label === row.label) ?? row
}

function pruneTable(prunes: ScaleResults['prunes']): string {
  return `Pruning, while 64 callers read. Redis and Memcached forget expired sessions by themselves.

${table(
  ['', 'live sessions', 'expired', 'processes that prune', 'takes', 'get meanwhile, p99', '÷ before'],
  prunes.map((row) => [
    label(row),
    count(row.live),
    count(row.expired),
    String(row.processes),
    `${digits(row.seconds)} s`,
    time(row.during.p99),
    ratio(row.during.p99 / row.before.p99),
  ]),
)}`
}
