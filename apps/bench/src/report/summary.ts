import type { Whose } from '../bench.ts'
import type { OperationRow } from '../operations/level.ts'
import type { Load } from '../requests/drive.ts'
import type { RequestRow } from '../requests/level.ts'
import type { Results } from '../results.ts'
import { label, ratio, table } from './format.ts'

/** Ours against the plugin's own store, against the best peer on the same server, and against the driver. */
export function summarySection({ requests, operations }: Results): string {
  if (!requests && !operations) return ''
  const parts = ['## In short']
  if (requests) {
    parts.push(
      `CPU time of the application for one request: below 1, ours costs less. The best peer is the cheapest other store on the same kind of
server.`,
      requestSummary(requests.found),
      buildSummary(
        requests.found.filter(({ bytes }) => bytes < 1000),
        ({ load }) => load,
        ({ toMemory }) => toMemory,
        'CPU time for one request: as built here ÷ in the other build.',
      ),
    )
  }
  if (operations) {
    parts.push(
      'Calls of the store without the plugin, relative to the driver alone: operations per second, and the median latency of a lone caller.',
      operationSummary(operations.found),
      buildSummary(
        operations.found.filter(({ callers, bytes }) => callers === 64 && bytes < 1000),
        ({ operation }) => operation,
        ({ perSecond }) => perSecond,
        'Calls per second, 64 callers: as built here ÷ in the other build.',
      ),
    )
  }
  return parts.filter((part) => part !== '').join('\n\n')
}

function requestSummary(rows: RequestRow[]): string {
  const small = rows.filter(({ bytes }) => bytes < 1000)
  const of = (name: string, load: Load) => small.find((row) => row.label === name && row.load === load)?.toMemory
  const against = (row: RequestRow, load: Load): string => {
    const peers = small.filter((peer) => peer.role === 'peer' && peer.kind === row.kind && peer.load === load)
    const best = peers.sort((a, b) => a.toMemory - b.toMemory)[0]
    const own = of(row.label, load)
    return best && own ? `${ratio(own / best.toMemory)} (${best.label})` : '–'
  }
  return table(
    [
      '',
      'reads ÷ the plugin’s MemoryStore',
      'reads ÷ best peer',
      'writes ÷ the plugin’s MemoryStore',
      'writes ÷ best peer',
    ],
    small
      .filter(({ role, load }) => role === 'ours' && load === 'reads')
      .map((row) => [
        label(row),
        ratio(of(row.label, 'reads')),
        against(row, 'reads'),
        ratio(of(row.label, 'writes')),
        against(row, 'writes'),
      ]),
  )
}

function operationSummary(rows: OperationRow[]): string {
  const find = (name: string | undefined, operation: OperationRow['operation'], callers: number) =>
    rows.find((row) => row.label === name && row.operation === operation && row.callers === callers && row.bytes < 1000)
  return table(
    ['', 'get, 64 callers', 'changed set, 64 callers', 'lone get, latency', 'lone changed set, latency'],
    rows
      .filter((row) => row.role === 'ours' && row.operation === 'get hit' && row.callers === 64 && row.bytes < 1000)
      .filter(({ driver }) => driver !== undefined)
      .map((row) => [
        label(row),
        ...(['get hit', 'set changed'] as const).map((operation) => ratio(find(row.label, operation, 64)?.toDriver)),
        ...(['get hit', 'set changed'] as const).map((operation) => {
          const [own, driver] = [find(row.label, operation, 1), find(row.driver, operation, 1)]
          return own && driver ? ratio(own.p50 / driver.p50) : '–'
        }),
      ]),
  )
}

/** Empty when only one build took part. */
function buildSummary<Row extends Whose>(
  rows: Row[],
  columnOf: (row: Row) => string,
  figureOf: (row: Row) => number,
  words: string,
): string {
  const columns = [...new Set(rows.map(columnOf))]
  const others = new Map(rows.filter(({ builtHere }) => builtHere !== undefined).map((row) => [row.label, row]))
  if (others.size === 0) return ''
  const find = (label: string | undefined, column: string) =>
    rows.find((row) => row.label === label && columnOf(row) === column)
  const cell = (other: Row, column: string) => {
    const [here, there] = [find(other.builtHere, column), find(other.label, column)]
    return here && there ? ratio(figureOf(here) / figureOf(there)) : '–'
  }
  const lines = [...others.values()].map((other) => [label(other), ...columns.map((column) => cell(other, column))])
  return `${words}\n\n${table(['', ...columns], lines)}`
}
