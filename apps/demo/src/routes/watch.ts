import type { ServerResponse } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Activity, Line } from '../activity.ts'
import type { OpenedStore } from '../stores/index.ts'
import { requireUser, show } from '../visitor.ts'

/** How long lines are gathered before they are sent, in ms. */
const GATHER = 100
/** After how long a page that watches must ask again, and so show that it may, in ms. */
const STREAM_LIFETIME = 60_000
const MAX_STREAMS = 100
/** How long the page waits for what is at rest, in ms. */
const PATIENCE = 1000

export interface WatchOptions {
  activity: Activity
  sessions: OpenedStore
}

/** Watch it happen: what the store does, live, and what it leaves at rest. */
export async function watchRoutes(app: FastifyInstance, { activity, sessions }: WatchOptions): Promise<void> {
  const streams = new Set<ServerResponse>()
  app.addHook('preHandler', requireUser)
  app.addHook('preClose', async () => {
    for (const stream of streams) stream.end()
  })

  app.get('/watch', async (request, reply) => {
    const { sessionId } = request.session
    const handle = sessions.store.handleOf(sessionId)
    const asked = sessions.atRest(handle).catch(() => undefined)
    const text = await Promise.race([asked, wait(PATIENCE, undefined, { ref: false })])
    return show(request, reply, 'watch', {
      activity,
      handle,
      text,
      hex: text && hexDump(Buffer.from(text)),
      holdsId: text?.includes(sessionId),
      isSealed: sessions.isSealed,
    })
  })

  // A hijacked reply saves no session: a page that is left open to watch does not keep its visitor logged in.
  app.get('/watch/events', (_request, reply) => {
    if (streams.size >= MAX_STREAMS) return reply.code(503).send('too many are watching')
    reply.hijack()
    const { raw } = reply
    for (const [name, value = ''] of Object.entries(reply.getHeaders())) raw.setHeader(name, value)
    raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
    streams.add(raw)
    const stopWatching = watch(activity, raw)
    raw.once('close', () => {
      stopWatching()
      streams.delete(raw)
    })
    return reply
  })
}

/** Sends what happens as it does, and every second what the last minute looks like. */
function watch(activity: Activity, stream: ServerResponse): () => void {
  let lines: Line[] = []
  let gathering: NodeJS.Timeout | undefined
  const send = () => {
    gathering = undefined
    // Not to somebody who does not read
    if (stream.writableNeedDrain) return
    const minute = activity.lastMinute().map(({ reads, writes, skips, errors }) => [reads, writes, skips, errors])
    const state = { lines, counts: activity.counts, minute }
    lines = []
    stream.write(`data: ${JSON.stringify(state)}\n\n`)
  }
  const onLine = (line: Line) => {
    lines = [...lines.slice(-49), line]
    gathering ??= setTimeout(send, GATHER)
  }
  send()
  activity.on('line', onLine)
  const everySecond = setInterval(send, 1000)
  const lifetime = setTimeout(() => stream.end(), STREAM_LIFETIME)
  return () => {
    activity.off('line', onLine)
    clearInterval(everySecond)
    clearTimeout(lifetime)
    clearTimeout(gathering)
  }
}

/** `0000  7b 22 63 …  {"c…`, 16 bytes a line. */
export function hexDump(bytes: Buffer): string {
  const lines: string[] = []
  for (let offset = 0; offset < bytes.length; offset += 16) {
    const part = bytes.subarray(offset, offset + 16)
    const hex = [...part].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    const text = part.toString('latin1').replace(/[^ -~]/g, '.')
    lines.push(`${offset.toString(16).padStart(4, '0')}  ${hex.padEnd(47)}  ${text}`)
  }
  return lines.join('\n')
}
