import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Activity } from '../activity.ts'
import { textFrom } from '../text.ts'
import { duration } from '../time.ts'
import { field, requireUser, show } from '../visitor.ts'

const COLOURS = ['blue', 'green', 'plum', 'rust']
const LONGEST_NOTE = 280
/** How long a save that is to be slow takes, in ms: enough to do something in another tab. */
const SLOW = 4000

export interface ProfileOptions {
  activity: Activity
  cookieName: string
  /** ms */
  idleTimeout: number
  /** ms */
  absoluteTimeout: number
  pause?: ((ms: number) => Promise<unknown>) | undefined
}

/** What the session of somebody who is logged in holds, and two forms that change it. */
export async function profileRoutes(app: FastifyInstance, options: ProfileOptions): Promise<void> {
  const { activity, cookieName, idleTimeout, absoluteTimeout, pause = wait } = options
  app.addHook('preHandler', requireUser)

  app.get('/profile', (request, reply) =>
    show(request, reply, 'profile', {
      colours: COLOURS,
      longestNote: LONGEST_NOTE,
      note: request.session.note ?? '',
      slowSeconds: SLOW / 1000,
      idle: duration(idleTimeout),
      absolute: duration(absoluteTimeout),
      ends: endsOf(request, absoluteTimeout),
      loggedInAt: new Date(request.session.loggedInAt ?? 0).toISOString(),
      fields: fieldsOf(request),
      cookie: { ...request.session.cookie, name: cookieName },
      activity,
    }),
  )

  app.post('/note', async (request, reply) => {
    // A slow one has loaded the session by now and saves it later: what other requests did meanwhile must stay done.
    if (field(request, 'slow')) await pause(SLOW)
    request.session.note = textFrom(field(request, 'note'), LONGEST_NOTE)
    return reply.redirect('/profile', 303)
  })

  app.post('/colour', async (request, reply) => {
    const colour = field(request, 'colour')
    if (COLOURS.includes(colour)) request.session.colour = colour
    return reply.redirect('/profile', 303)
  })
}

interface End {
  at: string
  secondsLeft: number
  left: string
}

/** When this session ends: so long after the last request, which is this one, or so long after log-in. */
function endsOf({ session }: FastifyRequest, absoluteTimeout: number): { idle: End; absolute: End } {
  const now = Date.now()
  const end = (at: number): End => {
    const left = Math.max(0, at - now)
    return { at: new Date(at).toISOString(), secondsLeft: Math.ceil(left / 1000), left: duration(left) }
  }
  const absolute = (session.loggedInAt ?? now) + absoluteTimeout
  const idle = Math.min(session.cookie.expires?.getTime() ?? absolute, absolute)
  return { idle: end(idle), absolute: end(absolute) }
}

/** All the session holds, but for the secret that form tokens are made from. */
function fieldsOf({ session }: FastifyRequest): Array<{ name: string; value: string }> {
  const { userId, passwordVersion, loggedInAt, device, note, colour, _csrf } = session
  const fields = { userId, passwordVersion, loggedInAt, device, note, colour, _csrf: _csrf && '(secret)' }
  return Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [{ name, value: String(value) }],
  )
}
