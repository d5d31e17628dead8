import type { FastifyRequest } from 'fastify'
import { hasStoredSession } from './cookie.ts'
import type { Settings } from './options.ts'

/** The key under which a session keeps when it began, in ms since the epoch. */
export const CREATED_AT = '~createdAt'

/**
 * Ends a session some time after it began, on any store: its cookie never says a later end, which the store and the plugin
 * keep to.
 */
export class AbsoluteTimeout {
  readonly #timeout: number
  readonly #settings: Settings
  /** What a request loaded. A handler that empties its session does not make it younger. */
  readonly #loaded = new WeakMap<FastifyRequest, { id: string; createdAt: number }>()

  /** @param timeout ms */
  constructor(timeout: number, settings: Settings) {
    this.#timeout = timeout
    this.#settings = settings
  }

  /** For an `onRequest` hook after the plugin's own. */
  loaded(request: FastifyRequest, done: (error?: Error) => void): void {
    const { session } = request
    const createdAt = (session as unknown as Record<string, unknown>)[CREATED_AT]
    if (typeof createdAt !== 'number') return done()
    if (createdAt + this.#timeout <= Date.now()) return session.regenerate(done)
    this.#loaded.set(request, { id: session.sessionId, createdAt })
    this.#limit(request, createdAt)
    done()
  }

  /** For an `onSend` hook before the plugin's own. */
  saving(request: FastifyRequest): void {
    const { session } = request
    if (!session?.sessionId) return
    const known = this.#loaded.get(request)
    if (known?.id === session.sessionId) return this.#limit(request, known.createdAt)
    // A session that holds nothing is not saved, so it has not begun
    const { saveUninitialized } = this.#settings
    if (!saveUninitialized && !hasStoredSession(request, this.#settings) && !session.isModified()) return
    this.#limit(request, Date.now())
  }

  #limit({ session }: FastifyRequest, createdAt: number): void {
    const end = createdAt + this.#timeout
    const { cookie } = session
    if (cookie.expires && cookie.expires.getTime() > end) cookie.expires = new Date(end)
    const data = session as unknown as Record<string, unknown>
    if (data[CREATED_AT] !== createdAt) data[CREATED_AT] = createdAt
  }
}
