import type { SessionStore } from '@fastify/session'
import { MemoryStore } from '@session-stores/core'

/** How long a save takes, in ms: longer than anything that a request has left to do. */
export const SAVE_TIME = 50

/** A store in memory whose saves take a while, and may fail then. */
export class SlowStore implements SessionStore {
  saves = 0
  /** ms; undefined to answer at once */
  saveTime: number | undefined = SAVE_TIME
  readonly #store = new MemoryStore()
  readonly #failure: Error | undefined
  /** What was stored, by id: to answer at once, the sessions must be at hand. */
  readonly #atHand = new Map<string, string>()

  constructor(failure?: Error) {
    this.#failure = failure
  }

  get: SessionStore['get'] = (id, callback) => {
    if (this.saveTime !== undefined) this.#store.get(id, callback)
    else callback(null, JSON.parse(this.#atHand.get(id) ?? 'null'))
  }

  set: SessionStore['set'] = (id, session, callback) => {
    this.saves += 1
    if (this.saveTime === undefined) {
      this.#atHand.set(id, JSON.stringify(session))
      callback()
    } else {
      setTimeout(() => {
        if (this.#failure) callback(this.#failure)
        else this.#store.set(id, session, callback)
      }, this.saveTime)
    }
  }

  destroy: SessionStore['destroy'] = (id, callback) => {
    this.#store.destroy(id, callback)
  }
}
