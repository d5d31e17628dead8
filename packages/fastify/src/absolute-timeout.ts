import type { FastifyRequest } from 'fastify'
import { hasStoredSession } from './cookie.ts'
import type { Settings } from './options.ts'

/** The key under which a session keeps when it began, in ms since the epoch. */
const CREATED_AT = '~createdAt'

/**
 * Ends a session some time after it began, on any store: its cookie never says a later end, which the store and the plugin
 * keep to.
 */
export class AbsoluteTimeout {
  readonly #timeout: number
  readonly #settings: Settings
  /** What a request has loaded, by which a handler that empties its session does not make it younger. */
  readonly #loaded = new WeakMap<FastifyRequest, { id: string; createdAt: number }>()

  /** @param timeout ms */
  constructor(timeout: number, settings: Settings) {
    this.#timeout = timeout
    this.#settings = settings
  }

  /** For an `onRequest` hook after the plugin's own. */
  load(request: FastifyRequest, done: (error?: Error) => void): void {
    const { session } = request
    const createdAt = fieldsOf(request)[CREATED_AT]
    if (typeof createdAt !== 'number') {
      done()
    } else if (createdAt + this.#timeout <= Date.now()) {
      session.regenerate(done)
    } else {
      this.#loaded.set(request, { id: session.sessionId, createdAt })
      this.#limit(request, createdAt)
      done()
    }
  }

  /** When the session that this request loaded began, in ms since the epoch; undefined for a new one. */
  beginningOf(request: FastifyRequest): number | undefined {
    return this.#loaded.get(request)?.createdAt
  }

  /** Has the request's session, which is new, count from this time on. @param createdAt ms since the epoch */
  setBeginning(request: FastifyRequest, createdAt: number): void {
    this.#loaded.set(request, { id: request.session.sessionId, createdAt })
  }

  /** For an `onSend` hook before the plugin's own. */
  save(request: FastifyRequest): void {
    const { session } = request
    if (!session?.sessionId) return
    const loaded = this.#loaded.get(request)
    if (loaded?.id === session.sessionId) this.#limit(request, loaded.createdAt)
    else if (this.#isToBeSaved(request)) this.#limit(request, Date.now())
  }

  /** A session that holds nothing is not saved, so it does not begin. */
  #isToBeSaved(request: FastifyRequest): boolean {
    const { saveUninitialized } = this.#settings
    return saveUninitialized || hasStoredSession(request, this.#settings) || request.session.isModified()
  }

  #limit(request: FastifyRequest, createdAt: number): void {
    const end = createdAt + this.#timeout
    const { cookie } = request.session
    if (cookie.expires && cookie.expires.getTime() > end) cookie.expires = new Date(end)
    const fields = fieldsOf(request)
    if (fields[CREATED_AT] !== createdAt) fields[CREATED_AT] = createdAt
  }
}

function fieldsOf({ session }: FastifyRequest): Record<string, unknown> {
  return session as unknown as Record<string, unknown>
}
