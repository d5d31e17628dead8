import type { SessionRecord, StoredRecord } from './backend.ts'
import type { Codec } from './codec.ts'
import { SessionStoreUnavailable } from './errors.ts'
import { expiryOf, isExpired } from './expiry.ts'
import { cookieExpiry, plainSession } from './face/session.ts'
import type { Guard } from './guard/guard.ts'
import type { Records } from './guard/guarded-backend.ts'
import type { Limit } from './guard/limit.ts'
import { scrubbed } from './guard/scrub.ts'
import type { OldStore } from './options.ts'
import type { Settings } from './settings.ts'
import { newVersion } from './version.ts'

/**
 * Takes sessions over from the store that an application had before. An adopted session is inserted, never written over
 * another, and then ended in the old store.
 *
 * A log-out that happens meanwhile holds: it ends the session in the old store first, and an adoption looks there once
 * more after it has inserted. Whichever comes last sees the other.
 */
export class Adopter {
  readonly #old: OldStore
  readonly #guard: Guard
  readonly #records: Records
  readonly #codec: Codec
  readonly #settings: Settings

  constructor(old: OldStore, guard: Guard, records: Records, codec: Codec, settings: Settings) {
    this.#old = old
    this.#guard = guard
    this.#records = records
    this.#codec = codec
    this.#settings = settings
  }

  /**
   * Takes the session over that the old store has under this id, and answers it; undefined when there is none.
   * @param userOf whose it is
   */
  async adopt(
    sessionId: string,
    key: string,
    limit: Limit,
    userOf: (session: object) => string | undefined,
  ): Promise<StoredRecord | 'unreadable' | undefined> {
    const record = this.#recordOf(await this.#find(sessionId, limit), userOf)
    if (record === undefined) return undefined
    const version = newVersion()
    const answer = await this.#records.insert?.(key, record, version, limit)
    if (answer === 'exists') return this.#records.read(key, limit) // another request has adopted it
    if ((await this.#find(sessionId, limit)) === undefined) {
      await this.#records.remove(key, limit)
      return undefined
    }
    if (!this.#settings.keepOld) await this.#end(sessionId, limit)
    return { record, version }
  }

  /**
   * Ends the session in the old store, before it ends in ours.
   * @param endHere ends it in ours, and answers whether there was one
   */
  async end(sessionId: string, limit: Limit, endHere: () => Promise<boolean>): Promise<boolean> {
    const failure = await this.#end(sessionId, limit).then(
      () => undefined,
      (error: Error) => error,
    )
    const ended = await endHere()
    // One that ours had is not in the old store any more, unless that keeps it.
    if (failure !== undefined && (!ended || this.#settings.keepOld)) throw failure
    return ended
  }

  #recordOf(session: object | undefined, userOf: (session: object) => string | undefined): SessionRecord | undefined {
    if (session === undefined) return undefined
    const now = this.#settings.now()
    const expiresAt = expiryOf(cookieExpiry(session), now, now, this.#settings)
    if (isExpired(expiresAt, now)) return undefined
    const data = this.#codec.encode(plainSession(session))
    this.#codec.checkSize(data)
    const userId = userOf(session)
    return { data, createdAt: now, expiresAt, ...(userId !== undefined && { userId }) }
  }

  #find(sessionId: string, limit: Limit): Promise<object | undefined> {
    return this.#ask(sessionId, limit, (done) =>
      this.#old.get(sessionId, (error, session) => {
        // Some stores have an error for a session that is not there, and the plugin takes it for that.
        const isMissing = (error as { code?: unknown } | null | undefined)?.code === 'ENOENT'
        done(isMissing ? undefined : error, typeof session === 'object' && session !== null ? session : undefined)
      }),
    )
  }

  #end(sessionId: string, limit: Limit): Promise<void> {
    return this.#ask(sessionId, limit, (done) => this.#old.destroy(sessionId, (error) => done(error, undefined)))
  }

  async #ask<T>(
    sessionId: string,
    limit: Limit,
    work: (done: (error: unknown, value: T) => void) => unknown,
  ): Promise<T> {
    const answer = new Promise<T>((resolve, reject) => {
      const returned = work((error, value) => (error ? reject(error) : resolve(value)))
      // Some promise besides: a failure of theirs is that of the callback, or its only sign.
      Promise.resolve(returned).catch(reject)
    })
    const failed = (error: unknown) =>
      new SessionStoreUnavailable(this.#records.name, 'the store that sessions are adopted from failed', {
        cause: scrubbed(error, [sessionId]),
      })
    return this.#guard.wait(
      answer.catch((error) => {
        throw failed(error)
      }),
      limit,
    )
  }
}
