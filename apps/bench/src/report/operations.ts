import type { OperationRow } from '../operations/level.ts'
import { OPERATIONS } from '../operations/measure.ts'
import { barChart } from './charts.ts'
import { count, details, label, ratio, table, time } from './format.ts'
import type { Section } from './section.ts'

const CHARTED = ['get hit', 'set changed']

export async function operationsSection(rows: OperationRow[]): Promise<Section> {
  const usual = rows.filter(({ callers, bytes }) => callers === 64 && bytes < 1000)
  const chart = await barChart(
    usual
      .filter(({ operation, kind }) => CHARTED.includes(operation) && kind !== 'memory')
      .map((row) => ({ ...row, group: row.kind, panel: row.operation, value: row.perSecond / 1000 })),
    { title: 'Calls of a store, 64 at a time', unit: 'thousand per second' },
  )
  return {
    charts: { 'operations.svg': chart },
    text: `## Operations

Calls of each store without the plugin, with sessions as it would hand them over. "Unchanged" is what the plugin saves after a request
that only read; "changed" is a session that was loaded before, with one key changed. In brackets: the ratio to the driver alone, which writes
with a plain SET, INSERT or the like and so notices no conflict.

![Calls of a store, 64 at a time](benchmarks/operations.svg)

64 callers, sessions of about 300 B: operations per second.

${speeds(usual)}

CPU time of the application / of the server for one operation.

${costs(usual)}

${otherLoads(rows)}`.trimEnd(),
  }
}

function otherLoads(rows: OperationRow[]): string {
  const loads = new Map(rows.map((row) => [`${row.callers} callers, ${row.bytes} B`, row]))
  return [...loads]
    .filter(([, { callers, bytes }]) => callers !== 64 || bytes >= 1000)
    .map(([name, { callers, bytes }]) => {
      const own = rows.filter((row) => row.callers === callers && row.bytes === bytes)
      const content = `${speeds(own)}\n\nLatency, p50 / p99.\n\n${latencies(own)}\n\nCPU time of the application / of the server.\n\n${costs(own)}`
      return details(name.replace('1 callers', 'one caller'), content)
    })
    .join('\n\n')
}

function speeds(rows: OperationRow[]): string {
  return byStore(rows, ({ perSecond, toDriver }) => `${count(perSecond)}${toDriver ? ` (${ratio(toDriver)})` : ''}`)
}

function latencies(rows: OperationRow[]): string {
  return byStore(rows, ({ p50, p99 }) => `${time(p50)} / ${time(p99)}`)
}

function costs(rows: OperationRow[]): string {
  return byStore(rows, ({ cpu, serverCpu }) => `${time(cpu)} / ${time(serverCpu)}`)
}

function byStore(rows: OperationRow[], cell: (row: OperationRow) => string): string {
  const stores = rows.filter(({ operation }) => operation === OPERATIONS[0])
  return table(
    ['', ...OPERATIONS],
    stores.map((store) => [
      label(store),
      ...OPERATIONS.map((operation) => {
        const row = rows.find((each) => each.label === store.label && each.operation === operation)
        return row ? cell(row) : '–'
      }),
    ]),
  )
}
