import { hash } from 'node:crypto'
import { type Backend, SessionStore, type StoreOptions } from '../../src/index.ts'
import { type Broken, brokenStore, type Session, withGet, withSet, wronglySet } from './open.ts'

/** What can be wrong with a store while nothing is wrong with its server. */
export const brokenStores: Broken[] = [
  {
    what: 'a store that gives out what has just expired: off by a millisecond',
    noticedBy: ['S1'],
    ...brokenStore((backend, options) => withExpired(backend, options, (expiresAt) => expiresAt === options.now?.())),
  },
  {
    what: 'a store that gives out what has expired',
    noticedBy: ['S1', 'S2', 'S3', 'S9', 'S12', 'S13', 'S14', 'S23'],
    ...brokenStore((backend, options) => withExpired(backend, options, () => true)),
  },
  {
    what: 'a store that forgets what was loaded, as others do',
    noticedBy: [
      'B26',
      'S3',
      'S4',
      'S7',
      'S10',
      'S11',
      'S12',
      'S13',
      'S14',
      'S15',
      'S16',
      'S17',
      'S18',
      'S21',
      'S22',
      'S23',
      'S25',
      'S26',
      'S27',
      'S28',
      'S29',
      'S41',
      'S48',
      'S49',
      'S51',
      'S55',
      'S57',
      'S58',
      'S59',
    ],
    ...brokenStore((backend, options) =>
      withSet(new SessionStore(backend, options), (set, id, { '~loaded': _, ...session }, done) =>
        set(id, session, done),
      ),
    ),
  },
  {
    what: 'a store that does not see whose session object it saves',
    noticedBy: ['S40'],
    ...brokenStore((backend, options) =>
      withSet(new SessionStore(backend, options), (set, id, session, done) => {
        set(id, Object.assign(session, { regenerate: undefined }), done)
      }),
    ),
  },
  {
    what: 'a store that ends a session when a slow request saves it',
    noticedBy: ['S10'],
    ...brokenStore((backend, options) => {
      const store = new SessionStore(backend, options)
      return withSet(store, (set, id, session, done) => {
        const { expires } = (session.cookie ?? {}) as { expires?: Date | null }
        if (expires instanceof Date && expires.getTime() <= (options.now?.() ?? 0)) store.destroy(id, done)
        else set(id, session, done)
      })
    }),
  },
  {
    what: 'a store that shows the expiry a request would like, not the true one',
    noticedBy: ['S4', 'S7'],
    ...brokenStore((backend, options) =>
      withGet(new SessionStore(backend, options), (get, id, callback) =>
        get(id, (error, session) => {
          const { cookie } = (session ?? {}) as { cookie?: { expires: Date | null; originalMaxAge: number | null } }
          if (cookie?.originalMaxAge) cookie.expires = new Date((options.now?.() ?? 0) + cookie.originalMaxAge)
          callback(error, session)
        }),
      ),
    ),
  },
  {
    what: 'a store that swallows errors',
    noticedBy: ['S6', 'S34', 'S35', 'S42', 'S43', 'S46', 'S48'],
    ...brokenStore((backend, options) =>
      withSet(new SessionStore(backend, options), (set, id, session, done) => set(id, session, () => done(null))),
    ),
  },
  {
    what: 'a store whose touch stores changes',
    noticedBy: ['S24', 'S42', 'S43'],
    ...brokenStore((backend, options) => {
      const store = new SessionStore(backend, options)
      return Object.assign(store, { touch: store.set.bind(store) })
    }),
  },
  {
    what: 'a store that saves one object once',
    noticedBy: ['S13', 'S19', 'S27'],
    ...brokenStore((backend, options) => {
      const saved = new WeakSet<object>()
      return withSet(new SessionStore(backend, options), (set, id, session, done) => {
        if (saved.has(session)) return done(null)
        saved.add(session)
        set(id, session, done)
      })
    }),
  },
  {
    what: 'a store that knows no onConflict',
    noticedBy: ['S30'],
    ...wronglySet(({ onConflict: _, ...options }) => options),
  },
  {
    what: 'a store that knows no maxBytes',
    noticedBy: ['S34'],
    ...wronglySet(({ maxBytes: _, ...options }) => options),
  },
  {
    what: 'a store that parses with JSON.parse',
    noticedBy: ['S33'],
    ...wronglySet((options) => ({ ...options, serializer: JSON })),
  },
  {
    what: 'a store that keeps the id',
    noticedBy: [
      'B0',
      'S18',
      'S19',
      'S24',
      'S25',
      'S26',
      'S27',
      'S28',
      'S29',
      'S30',
      'S31',
      'S34',
      'S38',
      'S40',
      'S41',
      'S44',
      'S46',
      'S47',
      'S52',
      'S54',
      'S55',
      'S57',
      'S58',
    ],
    ...brokenStore((backend, options) =>
      withSet(new SessionStore(backend, options), (set, id, session, done) =>
        set(id, Object.assign(session, { id }), done),
      ),
    ),
  },
  {
    what: 'a store that deletes what it cannot read',
    noticedBy: ['S32', 'S56'],
    ...brokenStore((backend, options) => {
      const store = new SessionStore(backend, options)
      return withGet(store, (get, id, callback) =>
        get(id, async (error, session) => {
          if (session === null) await store.destroy(id)
          callback(error, session)
        }),
      )
    }),
  },
  {
    what: 'a store that pretends it could clear',
    noticedBy: ['S36'],
    ...brokenStore(({ clear: _, ...backend }, options) =>
      Object.assign(new SessionStore(backend, options), { clear: async () => {} }),
    ),
  },
  {
    what: 'a store that does not close',
    noticedBy: ['S37'],
    ...brokenStore((backend, options) => Object.assign(new SessionStore(backend, options), { close: async () => {} })),
  },
  {
    what: 'a store that calls back twice',
    noticedBy: ['S35', 'S46'],
    ...brokenStore((backend, options) =>
      withGet(new SessionStore(backend, options), (get, id, callback) =>
        get(id, (...given) => {
          callback(...given)
          callback(...given)
        }),
      ),
    ),
  },
  {
    what: 'a store that calls back later, though there is nothing to wait for',
    noticedBy: ['S35'],
    ...brokenStore((backend, options) =>
      withSet(new SessionStore(backend, options), (set, id, session, done) =>
        set(id, session, (error) => setImmediate(done, error)),
      ),
    ),
  },
]

/** A store that gives out some of the sessions that have expired. */
function withExpired(backend: Backend, options: StoreOptions, choose: (expiresAt: number) => boolean): SessionStore {
  const store = new SessionStore(backend, options)
  const expired = async (id: string): Promise<Session | undefined> => {
    const found = await store.backend.read(hash('sha256', id, 'base64url'))
    if (found === undefined || found === 'unreadable') return undefined
    const { data, expiresAt } = found.record
    return expiresAt <= (options.now?.() ?? 0) && choose(expiresAt) ? JSON.parse(data) : undefined
  }
  return withGet(store, (get, id, callback) => {
    expired(id).then(
      (session) => (session ? callback(null, session) : get(id, callback)),
      () => get(id, callback),
    )
  })
}
