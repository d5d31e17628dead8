import type { Result } from './cell.ts'
import type { Figures } from './figures.ts'
import type { Cell, Row } from './matrix.ts'
import { versions } from './versions.ts'

/** What came of a cell; without figures when it could not be run to its end. */
export type Outcome = Result | { wrong: string[] } | { leftOut: string }

/** For the terminal. */
export function lineOf({ name }: Cell, outcome: Outcome): string {
  if ('leftOut' in outcome) return `left out  ${name}: ${outcome.leftOut}`
  const verdict = outcome.wrong.length === 0 ? 'holds    ' : 'FAILS    '
  const figures = 'figures' in outcome ? ` ${summaryOf(outcome.figures)}` : ''
  return [`${verdict} ${name}:${figures}`, ...outcome.wrong.map((words) => `            ${words}`)].join('\n')
}

function summaryOf(figures: Figures): string {
  const { requests, refused, longestWait, firstAfter, allAfter } = figures
  const times = `longest wait ${ms(longestWait)} ms, back after ${ms(firstAfter)} and ${ms(allAfter)} ms`
  return `${requests} requests, ${refused} got 503, ${times}, lost: ${lostOf(figures)}`
}

/** `docs/faults.md` */
export function pageOf(matrix: Row[], outcomes: ReadonlyMap<Cell, Outcome>): string {
  const all = [...outcomes.values()]
  const failed = all.filter((outcome) => 'wrong' in outcome && outcome.wrong.length > 0).length
  const requests = all.reduce((sum, outcome) => sum + ('figures' in outcome ? outcome.figures.requests : 0), 0)
  return `${introduction}
Each line is what the last run of its fault wrote: ${all.length} cells, ${requests.toLocaleString('en')} requests, ${failed === 0 ? 'no failure' : `**${failed} failures**`}.
It ran on ${versions()}.

## At a glance

The longest wait in ms under the faults that several stores have in common.

${overviewOf(matrix, outcomes)}

${matrix.map((row) => sectionOf(row, outcomes)).join('\n')}`
}

const introduction = `# The fault matrix

What the stores do when something breaks: for each store, faults of the server, the network, the disk, the clock and the
application's own process. \`npm run faults\` does them all, on real servers, in about 45 minutes, and writes this page;
\`npm run faults -- --only redis\` or \`--only redis/frozen\` does some, and writes their lines; one cell for each store runs in \`npm test\`.

Under each fault, two processes of a Fastify application with \`@fastify/session\` serve 20 users who read, change, log out
and in all the time, some of them with two requests at once. Every change and every log-out that was acknowledged is
remembered, and looked for in both processes afterwards. A cell holds when

- every request is answered with 2xx, the application's own 401, or 503, and 503 only where the fault leaves no other answer;
- no request waits for longer than the deadline of 2 s and a margin, and in an outage that is known not even that long; where
  the server answers and is only slow, a request that loads and saves may take up to 4 s and a margin;
- requests are served again at once when the server is back, with no restart;
- no acknowledged change is lost, no acknowledged log-out is undone, and nobody gets another one's session, or is logged out;
- no event loop stands still, no socket, timer or memory is left over, no process warns or crashes, each ends when it is told
  to, and no session id and no session data stands in a log or in an error.

| column | |
| --- | --- |
| 503 | how many requests were answered so |
| longest | the longest that any request waited, in ms, without the time in which this machine stood still |
| known | the median wait in vain once the outage has lasted for longer than the deadline, in ms |
| back | from the end of the fault to the first request that was served, and to the last that was not, in ms |
| lost | sessions, changes and log-outs; "its own" are those that the server lost by itself, which no client can prevent |
`

/** Stores by faults, of the faults that at least three stores have. */
function overviewOf(matrix: Row[], outcomes: ReadonlyMap<Cell, Outcome>): string {
  const cellOf = (row: Row, fault: string) => row.cells.find((cell) => cell.fault === fault)
  const faults = [...new Set(matrix.flatMap(({ cells }) => cells.map(({ fault }) => fault)))]
  const shared = faults.filter((fault) => matrix.filter((row) => cellOf(row, fault)).length >= 3)
  const stores = matrix.filter((row) => shared.some((fault) => cellOf(row, fault)))
  const lines = [
    ['', ...stores.map(({ store }) => store)],
    ['---', ...stores.map(() => '---')],
    ...shared.map((fault) => [fault, ...stores.map((row) => glanceAt(outcomes, cellOf(row, fault)))]),
  ]
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function glanceAt(outcomes: ReadonlyMap<Cell, Outcome>, cell: Cell | undefined): string {
  const outcome = cell && outcomes.get(cell)
  if (outcome === undefined) return ''
  if ('leftOut' in outcome) return 'left out'
  const wait = 'figures' in outcome ? ms(outcome.figures.longestWait) : ''
  return outcome.wrong.length === 0 ? wait : `**fails** ${wait}`.trim()
}

function sectionOf({ store, about, cells }: Row, outcomes: ReadonlyMap<Cell, Outcome>): string {
  return `## ${store}

${about}

| fault | what happens | requests | 503 | longest | known | back | lost | |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
${cells.map((cell) => rowOf(cell, outcomes.get(cell) as Outcome)).join('\n')}
`
}

function rowOf({ fault, what }: Cell, outcome: Outcome): string {
  if ('leftOut' in outcome) return `| ${fault} | ${what} | | | | | | | left out: ${outcome.leftOut} |`
  const verdict = outcome.wrong.length === 0 ? 'holds' : `**fails**: ${outcome.wrong.join('; ')}`
  if (!('figures' in outcome)) return `| ${fault} | ${what} | | | | | | | ${verdict} |`
  const { requests, refused, longestWait, knownOutageWait, firstAfter, allAfter } = outcome.figures
  const known = knownOutageWait === undefined ? '' : ms(knownOutageWait)
  const figures = [requests, refused, ms(longestWait), known, `${ms(firstAfter)}, ${ms(allAfter)}`]
  return `| ${[fault, what, ...figures, lostOf(outcome.figures), verdict].join(' | ')} |`
}

function lostOf({ lostChanges, undoneLogOuts, lostSessions, lostByServer }: Figures): string {
  const ours = lostChanges + undoneLogOuts + lostSessions
  const parts = [ours > 0 ? `${ours}` : '', lostByServer > 0 ? `${lostByServer} its own` : '']
  return parts.filter(Boolean).join(' and ') || 'nothing'
}

function ms(duration: number): string {
  return Number.isFinite(duration) ? `${Math.round(duration)}` : 'never'
}
