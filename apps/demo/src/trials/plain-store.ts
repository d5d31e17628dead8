import type { Session } from 'fastify'

type Callback<T> = (error?: unknown, value?: T) => void

/**
 * What most session stores do, in memory: a request reads the whole session, changes its copy, and writes all of it back;
 * whoever writes last wins. For comparison only.
 */
export class PlainStore {
  readonly #texts = new Map<string, string>()

  get(id: string, callback: Callback<Session | null>): void {
    const text = this.#texts.get(id)
    setImmediate(callback, null, text === undefined ? null : JSON.parse(text))
  }

  set(id: string, session: Session, callback: Callback<void>): void {
    this.#texts.set(id, JSON.stringify(session))
    setImmediate(callback)
  }

  destroy(id: string, callback: Callback<void>): void {
    this.#texts.delete(id)
    setImmediate(callback)
  }

  /** "Log out everywhere", as well as such a store can: looks through what there is. */
  async destroyByUser(userId: string): Promise<void> {
    for (const [id, text] of this.#texts) if (JSON.parse(text).userId === userId) this.#texts.delete(id)
  }
}
