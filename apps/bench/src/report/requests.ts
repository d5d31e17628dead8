import type { Load } from '../requests/drive.ts'
import { CONNECTIONS, type RequestRow, USERS } from '../requests/level.ts'
import { barChart } from './charts.ts'
import { count, digits, label, ratio, table, time } from './format.ts'
import type { Section } from './section.ts'

export async function requestsSection(rows: RequestRow[]): Promise<Section> {
  const [small, large] = [rows.filter(({ bytes }) => bytes < 1000), rows.filter(({ bytes }) => bytes >= 1000)]
  const loads = [...new Set(small.map(({ load }) => load))]
  const chart = await barChart(
    small
      .filter(({ load }) => load === 'reads' || load === 'writes')
      .map((row) => ({ ...row, group: row.kind, panel: row.load, value: row.toMemory })),
    {
      title: 'CPU time of the application for one request',
      unit: 'relative to the plugin’s own MemoryStore',
    },
  )
  const cells = (cell: (row: RequestRow) => string) => byStore(small, loads, cell)
  return {
    charts: { 'requests.svg': chart },
    text: `## Requests

Fastify with \`@fastify/session\` (\`saveUninitialized: false\`, and otherwise as it comes), real cookies, ${CONNECTIONS} keep-alive connections from
another process. ${USERS} users with sessions of about 300 B; no two requests have the same session at once. A read
answers who is logged in; a write changes one key; a log-in regenerates the session. \`@fastify/session\` saves on each of them
(\`rolling: true\`). \`@fastify/secure-session\` keeps the session in its cookie, and so has no log-out on the server.

![CPU time of the application for one request](benchmarks/requests.svg)

CPU time of the application, relative to the plugin's own MemoryStore, which keeps live objects in a \`Map\`: the steadiest figure on a busy
machine.

${table(
  ['', ...loads],
  cells(({ toMemory }) => ratio(toMemory)),
)}

Requests per second, and latency: p50 / p99. The processes of the load, the application and the server share the machine's cores.

${table(
  ['', ...loads],
  cells(({ perSecond, p50, p99 }) => `${count(perSecond)}, ${time(p50 * 1000)} / ${time(p99 * 1000)}`),
)}

CPU time of the server for one request.

${table(
  ['', ...loads],
  byStore(
    small.filter(({ serverCpu }) => typeof serverCpu === 'number'),
    loads,
    ({ serverCpu }) => time(serverCpu),
  ),
)}
${large.length > 0 ? `\n${largeSessions(large)}` : ''}`,
  }
}

function largeSessions(rows: RequestRow[]): string {
  return `Sessions of 60 kB, a tenth of the requests writes. How long the application's event loop keeps a timer waiting (p99), and the
latency of a request.

${table(
  ['', 'event loop, p99', 'request, p50', 'request, p99', 'requests per second'],
  rows.map((row) => [
    label(row),
    `${digits(row.eventLoopDelay)} ms`,
    time(row.p50 * 1000),
    time(row.p99 * 1000),
    count(row.perSecond),
  ]),
)}`
}

/** A row for each store, with a cell for each load. */
function byStore(rows: RequestRow[], loads: Load[], cell: (row: RequestRow) => string): string[][] {
  const stores = rows.filter(({ load }) => load === loads[0])
  return stores.map((store) => [
    label(store),
    ...loads.map((load) => {
      const row = rows.find((each) => each.label === store.label && each.load === load)
      return row ? cell(row) : '–'
    }),
  ])
}
