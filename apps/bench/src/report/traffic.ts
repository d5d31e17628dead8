import type { TrafficRow } from '../traffic/level.ts'
import { bytes, digits, label, table } from './format.ts'
import type { Section } from './section.ts'

export function trafficSection(rows: TrafficRow[]): Section {
  const parts = [...new Set(rows.map(({ connections }) => connections))].map((connections) => {
    const own = rows.filter((row) => row.connections === connections)
    return `${connections === 1 ? 'One connection' : `${connections} connections`} to the application.\n\n${trafficTable(own)}`
  })
  return {
    charts: {},
    text: `## What the server is asked

For one request through the plugin: the commands as the server counts them (those inside a script too; of Postgres, its
statements), the bytes to it and back, and how many pieces the bytes to it came in: what was written at once is one.

${parts.join('\n\n')}`,
  }
}

function trafficTable(rows: TrafficRow[]): string {
  return table(
    ['', 'request', 'commands', 'bytes to the server', 'and back', 'pieces'],
    rows.map((row) => [
      label(row),
      row.load,
      commands(row),
      bytes(row.sentBytes),
      bytes(row.receivedBytes),
      digits(row.pieces),
    ]),
  )
}

function commands({ commands }: TrafficRow): string {
  const words = Object.entries(commands).map(([name, count]) => `${name} ${digits(count)}`)
  return words.join(', ') || 'none'
}
