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
  const session = sessionOf(request)
  const kept = keep.length > 0 && !(await isGone(request)) ? keep.map((key) => [key, session.get(key)] as const) : []
  await session.regenerate()
  setFields(request, [...kept, ...Object.entries(data)])
}

/**
 * Gives the session a new id and keeps all else: what it holds, its cookie's age, and when it began, from which
 * `absoluteTimeout` goes on counting.
 * For sessions that get a new id every now and then (OWASP Session Management Cheat Sheet, "Renewal Timeout"); where a user
 * gains rights, `logIn` begins a new session.
 *
 * A session that has been ended meanwhile, such as by a log-out in another window, stays ended: the new one is empty.
 *
 * Fails with the store's error when the store cannot be reached; the session keeps its id then.
 *
 * @throws TypeError when the request has no session
 */
export async function renewId(request: FastifyRequest): Promise<void> {
  const { timeout } = settingsOf(request)
  const session = sessionOf(request)
  if (await isGone(request)) {
    await session.regenerate()
    return
  }
  const maxAge = session.cookie.originalMaxAge
  const createdAt = timeout?.beginningOf(request)
  // Carried over by the plugin itself: a store of this family then sees a log-out that falls in here, and stores nothing.
  await session.regenerate(fieldsOf(session))
  if (typeof maxAge === 'number') request.session.cookie.maxAge = maxAge
  if (createdAt !== undefined) timeout?.setBeginning(request, createdAt)
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

function sessionOf(request: FastifyRequest): FastifyRequest['session'] {
  settingsOf(request)
  if (request.session?.sessionId) return request.session
  throw new TypeError('this request has no session: it was ended before, or the route is outside cookie.path')
}

function fieldsOf(session: object): Array<keyof SessionFields> {
  return Object.keys(session).filter((key) => !bound.includes(key)) as Array<keyof SessionFields>
}

function setFields({ session }: FastifyRequest, fields: ReadonlyArray<readonly [key: string, value: unknown]>): void {
  for (const [key, value] of fields) {
    if (!bound.includes(key) && value !== undefined) session.set(key as never, value as never)
  }
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
