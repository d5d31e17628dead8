import type { FastifyReply, FastifyRequest, Session } from 'fastify'
import { clearCookie, hasStoredSession } from './cookie.ts'
import { settingsOf } from './settings.ts'

/** What the application keeps in a session. */
export type SessionFields = Partial<Omit<Session, 'cookie'>>

export interface LogInOptions {
  /** The keys of the visitor's session so far that are to be in the new one, such as `['cart']`. */
  keep?: ReadonlyArray<keyof SessionFields & string> | undefined
}

/** What a session object has besides the application's fields: it belongs to one id. */
const bound = ['cookie', '~loaded', '~createdAt']

/**
 * Logs a user in: ends the visitor's session and begins a new one, under a new id, which holds `data`. Whoever slipped the visitor
 * an id beforehand (session fixation) is left with a dead one. Call it whenever a user gains rights.
 *
 * What `keep` names comes along, unless the session has been ended meanwhile: a log-out in another window holds, whatever
 * this request had loaded before.
 *
 * Fails with the store's error when the store cannot be reached; the user is not logged in then.
 *
 * @param data what the new session holds; of an old session that is spread into it, only the application's own fields count
 * @throws TypeError when the request has no session
 */
export async function logIn(
  request: FastifyRequest,
  data: SessionFields,
  { keep = [] }: LogInOptions = {},
): Promise<void> {
  settingsOf(request)
  const { session } = request
  if (!session?.sessionId) {
    throw new TypeError(
      'there is no session to log in to: it was ended before in this request, or the route is outside cookie.path',
    )
  }
  const kept = keep.length > 0 && !(await isGone(request)) ? keep.map((key) => [key, session.get(key)] as const) : []
  await session.regenerate()
  for (const [key, value] of [...kept, ...Object.entries(data)]) {
    if (!bound.includes(key) && value !== undefined) request.session.set(key as never, value as never)
  }
}

/**
 * Logs the user out: ends the session in the store, where it counts, and then takes the cookie back. Requests under
 * way do not bring it back. `request.session` is null afterwards.
 *
 * Fails with the store's error when the store cannot be reached; the user is not logged out then.
 */
export async function logOut(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  if (request.session?.sessionId) await request.session.destroy()
  clearCookie(request, reply, settingsOf(request))
}

/** Whether the session that this request loaded is not there any more. */
async function isGone(request: FastifyRequest): Promise<boolean> {
  if (!hasStoredSession(request, settingsOf(request))) return false
  return new Promise((resolve, reject) => {
    request.sessionStore.get(request.session.sessionId, (error, found) => {
      if (error) reject(error)
      else resolve(!found)
    })
  })
}
