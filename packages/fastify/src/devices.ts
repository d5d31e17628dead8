import type { FastifyReply, FastifyRequest, Session } from 'fastify'
import { logOut } from './log-in.ts'
import { settingsOf } from './settings.ts'

/** A session of the user who is logged in, as a page of devices shows it. Times are in ms since the epoch. */
export interface Device {
  /** Names the session for `logOutDevice`, and does not let anybody in: safe to show and to send back. */
  handle: string
  /** Whether it is the session of this request. */
  isCurrent: boolean
  createdAt: number
  /** When it was last used, as exact as the store's `touchInterval` allows. */
  lastActiveAt: number
  expiresAt: number
  session: Session
}

/** What is asked of a store, as those of this family answer it. */
interface StoreByUser {
  userOf(session: Session): string | undefined
  listByUser(userId: string): Promise<Array<Omit<Device, 'isCurrent'>>>
  destroyByHandle(handle: string, options: { userId: string }): Promise<boolean>
  destroyByUser(userId: string, options: { except?: string }): Promise<number>
  handleOf(sessionId: string): string
}

/**
 * All sessions of the user who is logged in, last used first; none when nobody is. What this request has changed and not yet
 * saved does not show.
 *
 * Fails with the store's error when the store cannot be reached. As do the other functions here.
 *
 * @throws TypeError when the store does not know sessions by their user; `SESSION_UNSUPPORTED` when its server cannot list
 */
export async function devicesOf(request: FastifyRequest): Promise<Device[]> {
  return byUser(request, [], async (store, userId) => {
    const current = store.handleOf(request.session.sessionId)
    const list = await store.listByUser(userId)
    return list.map((each) => ({ ...each, isCurrent: each.handle === current }))
  })
}

/**
 * Ends one of the sessions of the user who is logged in, and answers whether there was one. A handle that is somebody else's, or
 * none at all, ends nothing: it may come straight from a form.
 */
export async function logOutDevice(request: FastifyRequest, handle: string): Promise<boolean> {
  return byUser(request, false, (store, userId) => store.destroyByHandle(handle, { userId }))
}

/**
 * "Log out everywhere else": ends all sessions of the user who is logged in but the one of this request, and answers how many
 * that were. When it resolves they are gone for good, also those that other requests are changing at that moment.
 */
export async function logOutOthers(request: FastifyRequest): Promise<number> {
  return byUser(request, 0, (store, userId) => store.destroyByUser(userId, { except: request.session.sessionId }))
}

/**
 * Ends all sessions of the user who is logged in, then that of this request as `logOut` does, and answers how many the user
 * had.
 */
export async function logOutEverywhere(request: FastifyRequest, reply: FastifyReply): Promise<number> {
  const ended = await byUser(request, 0, (store, userId) => store.destroyByUser(userId, {}))
  await logOut(request, reply)
  return ended
}

async function byUser<T>(
  request: FastifyRequest,
  forNobody: T,
  work: (store: StoreByUser, userId: string) => Promise<T>,
): Promise<T> {
  const { store: given, onStoreError } = settingsOf(request)
  const store = storeByUser(given)
  const { session } = request
  const userId = session?.sessionId ? store.userOf(session) : undefined
  if (userId === undefined) return forNobody
  try {
    return await work(store, userId)
  } catch (error) {
    onStoreError(error)
    throw error
  }
}

function storeByUser(store: object): StoreByUser {
  for (const method of ['userOf', 'listByUser', 'destroyByHandle', 'destroyByUser', 'handleOf']) {
    if (typeof (store as Record<string, unknown>)[method] !== 'function') {
      throw new TypeError(
        'the store does not know sessions by their user: use one of this family with its option userOf, such as ' +
          'new SqliteStore({ path, userOf: (session) => session.user }) of @session-stores/sqlite',
      )
    }
  }
  return store as StoreByUser
}
