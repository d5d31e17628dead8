import type { SessionStore } from '../store.ts'
import type { Callback } from './callback.ts'

/** As much of express-session's `Store` class as the face builds on: `import session from 'express-session'`, `session.Store`. */
// biome-ignore lint/suspicious/noExplicitAny: a class whose instances are express-session's own
export type ExpressStoreClass = abstract new (...args: any[]) => any

/** The methods that express-session calls on a store. What has no callback is carried out all the same. */
export interface ExpressStore {
  get(sessionId: string, callback?: Callback<object | null>): void
  set(sessionId: string, session: object, callback?: Callback<void>): void
  touch(sessionId: string, session: object, callback?: Callback<void>): void
  destroy(sessionId: string, callback?: Callback<void>): void
  /** How many sessions there are. Fails with `SESSION_UNSUPPORTED` where the server cannot count. */
  length(callback: Callback<number>): void
  /** Every session, with its data. Fails with `SESSION_UNSUPPORTED` where the server cannot list. */
  all(callback: Callback<object[]>): void
  /** Ends every session. */
  clear(callback?: Callback<void>): void
}

/**
 * A store for express-session 1.x, over any store of this project:
 *
 * ```ts
 * import session from 'express-session'
 * app.use(session({ store: expressStore(session.Store, new RedisStore({ client })), secret, resave: false, saveUninitialized: false }))
 * ```
 *
 * @param Store express-session's `Store`, which is an event emitter and makes the session objects
 * @param store closed by whoever made it, after the last request
 */
export function expressStore<Class extends ExpressStoreClass>(
  Store: Class,
  store: SessionStore,
): ExpressStore & InstanceType<Class> {
  // Declared abstract by its types, and ready to be made all the same.
  const Base = Store as unknown as new () => object
  class Face extends Base {
    get(sessionId: string, callback: Callback<object | null> = ignore): void {
      store.get(sessionId, callback)
    }

    set(sessionId: string, session: object, callback: Callback<void> = ignore): void {
      store.set(sessionId, session, callback)
    }

    touch(sessionId: string, session: object, callback: Callback<void> = ignore): void {
      store.touch(sessionId, session, callback)
    }

    destroy(sessionId: string, callback: Callback<void> = ignore): void {
      store.destroy(sessionId, callback)
    }

    length(callback: Callback<number>): void {
      settle(store.count(), callback)
    }

    all(callback: Callback<object[]>): void {
      settle(allSessions(store), callback)
    }

    clear(callback: Callback<void> = ignore): void {
      store.clear(callback)
    }
  }
  return new (Face as unknown as new () => ExpressStore & InstanceType<Class>)()
}

function ignore(): void {}

/** Calls back outside the promise chain: what the callback throws is its own affair. */
function settle<T>(promise: Promise<T>, callback: Callback<T>): void {
  promise.then(
    (value) => process.nextTick(callback, null, value),
    (error) => process.nextTick(callback, error),
  )
}

async function allSessions(store: SessionStore): Promise<object[]> {
  const sessions: object[] = []
  for await (const { session } of store.scan()) sessions.push(session)
  return sessions
}
