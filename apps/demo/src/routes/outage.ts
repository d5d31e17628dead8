import { randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { Outage, type Probe } from '../outage.ts'
import type { OwnServer, SessionStore } from '../stores/index.ts'
import { duration } from '../time.ts'
import { field } from '../visitor.ts'

export interface OutageOptions {
  store: SessionStore
  server: OwnServer | undefined
  /** ms */
  longestOutage: number
}

const [WIDTH, HEIGHT] = [720, 160]
/** The least time that the line spans, in ms. */
const SPAN = 6000
/** What the upper end of the time line stands for, in ms. */
const SLOWEST = 4000

/**
 * Break the demo's own server, and see what its visitors notice. These pages have no session, for they are to answer while
 * none can be read. So the token in their forms is the same for everybody: it keeps other sites out, and that is all.
 */
export async function outageRoutes(
  app: FastifyInstance,
  { store, server, longestOutage }: OutageOptions,
): Promise<void> {
  const token = randomBytes(16).toString('base64url')
  const outage = server && new Outage(store, server, longestOutage)
  app.addHook('preClose', async () => outage?.close())
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })

  app.get('/outage', (_request, reply) =>
    reply.view('outage', { outage, token, longest: duration(longestOutage), ...timeLineOf(outage) }),
  )

  app.get('/outage/time-line', (_request, reply) => reply.view('time-line', timeLineOf(outage)))

  if (!outage) return
  const actions: Record<string, () => Promise<void>> = {
    freeze: () => outage.begin('freeze'),
    kill: () => outage.begin('kill'),
    back: () => outage.end(),
  }
  for (const [name, act] of Object.entries(actions)) {
    app.post(`/outage/${name}`, async (request, reply): Promise<FastifyReply> => {
      if (field(request, '_csrf') !== token) throw Object.assign(new Error('wrong token'), { statusCode: 403 })
      await act()
      return reply.redirect('/outage', 303)
    })
  }
}

/** What the time line is drawn from: where each answer stands, and in words what came in each stretch. */
function timeLineOf(outage: Outage | undefined) {
  if (!outage) return { isRunning: false, bars: [], marks: [], stretches: [] }
  const { probes, happened, isRunning } = outage
  const end = Math.max(SPAN, ...probes.map(({ at, took }) => at + took))
  const x = (at: number) => Math.round((at / end) * WIDTH)
  const bars = probes.map((probe) => ({
    kind: kindOf(probe),
    x: x(probe.at),
    // Logarithmic: an answer in 3 ms and one in 2 s are both to be seen
    y: Math.round(HEIGHT - 12 - (Math.log1p(Math.min(probe.took, SLOWEST)) / Math.log1p(SLOWEST)) * (HEIGHT - 40)),
    width: Math.max(4, x(probe.took)),
  }))
  const marks = happened.map(({ at, what }) => ({ x: x(at), what }))

  const starts = [{ at: 0, what: 'All is well' }, ...happened]
  const stretches = starts.map(({ at, what }, i) => {
    const until = starts[i + 1]?.at ?? Number.POSITIVE_INFINITY
    return { what, at: duration(at), answers: answersOf(probes.filter((probe) => probe.at >= at && probe.at < until)) }
  })
  return { isRunning, bars, marks, stretches, width: WIDTH, height: HEIGHT }
}

const KINDS = { 'logged-in': 'logged in', 'logged-out': 'logged out', failed: '503', waiting: 'no answer yet' }
type Kind = keyof typeof KINDS

function kindOf({ status, isLoggedIn }: Probe): Kind {
  if (status === undefined) return 'waiting'
  if (status !== 200) return 'failed'
  return isLoggedIn ? 'logged-in' : 'logged-out'
}

/** `12 × logged in, after 3 ms (2 to 9 ms)` */
function answersOf(probes: Probe[]): string[] {
  return Object.entries(KINDS).flatMap(([kind, words]) => {
    const times = probes.filter((probe) => kindOf(probe) === kind).map(({ took }) => Math.round(took))
    if (times.length === 0) return []
    times.sort((a, b) => a - b)
    const range = times.length > 1 ? ` (${times[0]} to ${times.at(-1)} ms)` : ''
    return [`${times.length} × ${words}, after ${times[Math.floor(times.length / 2)]} ms${range}`]
  })
}
