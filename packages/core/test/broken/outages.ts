import { layer } from '../../src/conformance/layers.ts'
import { SessionStore, SessionTooLarge, TryAgain } from '../../src/index.ts'
import { type Broken, brokenStore, withGet, withSet, wronglySet } from './open.ts'

/** What can be wrong with a store whose server is in trouble. */
export const brokenInOutages: Broken[] = [
  {
    what: 'a store that waits for longer than it is told to',
    noticedBy: ['S42'],
    ...wronglySet(({ timeout, ...options }) => ({ ...options, timeout: timeout && 10 * timeout })),
  },
  {
    what: 'a store that takes an outage for no session',
    noticedBy: ['S37', 'S42', 'S43', 'S44', 'S46'],
    ...brokenStore((backend, options) =>
      withGet(new SessionStore(backend, options), (get, id, callback) =>
        get(id, (_, session) => callback(null, session ?? null)),
      ),
    ),
  },
  {
    what: 'a store that does not say why',
    noticedBy: ['S43'],
    ...brokenStore((backend, options) =>
      withGet(new SessionStore(backend, options), (get, id, callback) =>
        get(id, (error, session) => {
          if (error instanceof Error) delete error.cause
          callback(error, session)
        }),
      ),
    ),
  },
  {
    what: 'a store that stays down',
    noticedBy: ['S44', 'S46'],
    ...brokenStore((backend, options) => {
      let failure: unknown
      return withGet(new SessionStore(backend, options), (get, id, callback) => {
        if (failure) return callback(failure)
        get(id, (error, session) => {
          failure = error
          callback(error, session)
        })
      })
    }),
  },
  {
    what: 'a store that never tries again',
    noticedBy: ['B28', 'B29', 'B30', 'B31', 'B32', 'B33', 'B34', 'B35', 'B36', 'S41', 'S45'],
    ...brokenStore((backend, options) => {
      const once = layer(async ({ pass }) => {
        try {
          return await pass()
        } catch (error) {
          throw error instanceof TryAgain ? new Error('failed', { cause: error.cause }) : error
        }
      })
      return new SessionStore(once(backend), options)
    }),
  },
  {
    what: 'a store that calls back again when the answer comes after all',
    noticedBy: ['S46'],
    ...brokenStore((backend, options) => {
      const late: Array<() => void> = []
      const telling = layer(async ({ pass }) => {
        const answer = await pass()
        setImmediate(() => {
          for (const tell of late.splice(0)) tell()
        })
        return answer
      })
      return withGet(new SessionStore(telling(backend), options), (get, id, callback) =>
        get(id, (error, session) => {
          if (error) late.push(() => callback(null, null))
          callback(error, session)
        }),
      )
    }),
  },
  {
    what: 'a store that has readers fail where only writes are refused',
    noticedBy: ['S43', 'S47'],
    ...brokenStore((backend, options) => {
      const strict = layer(async ({ verb, pass }) => {
        try {
          return await pass()
        } catch (error) {
          throw verb === 'touch' && !(error instanceof TryAgain) ? new SessionTooLarge(2, 1) : error
        }
      })
      return new SessionStore(strict(backend), options)
    }),
  },
  {
    what: "a store that shows the driver's error as it came",
    noticedBy: ['S48'],
    ...brokenStore((backend, options) => {
      let raw: unknown
      const noting = layer(async ({ pass }) => {
        try {
          return await pass()
        } catch (error) {
          raw = error
          throw error
        }
      })
      return withSet(new SessionStore(noting(backend), options), (set, id, session, done) =>
        set(id, session, (error) => done(error && Object.assign(error, { cause: raw }))),
      )
    }),
  },
]
