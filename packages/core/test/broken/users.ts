import { setImmediate as nextTurn } from 'node:timers/promises'
import { SessionStore } from '../../src/index.ts'
import { type Broken, brokenServer, brokenStore, type Session, withSet, wronglySet } from './open.ts'

/** What can be wrong with inserting, with sessions by user, with sealing, and with moving in. */
export const brokenUsers: Broken[] = [
  {
    what: 'a backend whose insert overwrites',
    noticedBy: ['B42'],
    ...brokenServer(({ write }) => ({
      insert: (key, record, version) => {
        write(key, record, version)
        return 'inserted'
      },
    })),
  },
  {
    what: 'a backend whose insert that is sent again says that there is a record',
    noticedBy: ['B42'],
    ...brokenServer(({ insert, read }) => ({
      insert: (key, record, version) => (read(key) === undefined ? insert(key, record, version) : 'exists'),
    })),
  },
  {
    what: "a backend whose list by user has everybody's records",
    noticedBy: ['B43', 'B44', 'B46', 'B48', 'S49', 'S50', 'S54'],
    ...brokenServer(({ scan }) => ({ findByUser: (_userId, from) => scan(from) })),
  },
  {
    what: 'a backend whose list by user ends after some',
    noticedBy: ['B43', 'B48', 'S50'],
    ...brokenServer(({ findByUser }) => ({
      findByUser: (userId) => ({ records: findByUser(userId).records.slice(0, 50) }),
    })),
  },
  {
    what: 'a backend whose list by user knows only whose a record was at first',
    noticedBy: ['B44', 'B45', 'B48', 'S52', 'S54'],
    ...brokenServer(({ write, read }) => {
      const firstOf = new Map<string, string | undefined>()
      return {
        write: (key, record, version) => {
          if (!firstOf.has(key)) firstOf.set(key, record.userId)
          write(key, record, version)
        },
        findByUser: (userId) => ({
          records: [...firstOf].flatMap(([key, first]) => {
            const found = read(key)
            return first === userId && found ? [{ key, record: found.record }] : []
          }),
        }),
      }
    }),
  },
  {
    what: 'a backend whose index by user ends when the first record in it was to end',
    noticedBy: ['B45'],
    ...brokenServer(({ write, replace, findByUser }) => {
      const ends = new Map<string, number>()
      const note = (userId: string | undefined, end: number) => userId && !ends.has(userId) && ends.set(userId, end)
      return {
        write: (key, record, version) => {
          note(record.userId, record.expiresAt)
          write(key, record, version)
        },
        replace: (key, record, version, expected) => {
          note(record.userId, record.expiresAt)
          return replace(key, record, version, expected)
        },
        findByUser: (userId) => ((ends.get(userId) ?? 0) > Date.now() ? findByUser(userId) : { records: [] }),
      }
    }),
  },
  {
    what: 'a backend whose removal of a user does not look whose a record is',
    noticedBy: ['B46', 'B47'],
    ...brokenServer(({ remove }) => ({ removeOfUser: (_userId, keys) => keys.filter(remove).length })),
  },
  {
    what: 'a backend whose removal of a user looks first and removes then',
    noticedBy: ['B47'],
    ...brokenServer(({ read, remove }) => ({
      removeOfUser: async (userId, keys) => {
        const own = keys.filter((key) => read(key)?.record.userId === userId)
        await nextTurn()
        return own.filter(remove).length
      },
    })),
  },
  {
    what: 'a backend whose removal of a user removes some',
    noticedBy: ['B46', 'S50', 'S51', 'S53'],
    ...brokenServer(({ removeOfUser }) => ({
      removeOfUser: (userId, keys) => removeOfUser(userId, keys.slice(0, 2)) + Math.max(0, keys.length - 2),
    })),
  },
  {
    what: 'a store that knows no maxPerUser',
    noticedBy: ['S53'],
    ...wronglySet(({ maxPerUser: _, ...options }) => options),
  },
  {
    what: 'a store whose user is whoever logged in first',
    noticedBy: ['S49', 'S50', 'S52', 'S54'],
    ...wronglySet(({ userOf, ...options }) => {
      const first = new Map<unknown, unknown>()
      return userOf
        ? {
            ...options,
            userOf: (session) => {
              const user = userOf(session)
              const known = first.get(session.cookie?.originalMaxAge) ?? user
              first.set(session.cookie?.originalMaxAge, known)
              return known as string | undefined
            },
          }
        : options
    }),
  },
  {
    what: 'a store that ends all sessions of a user but forgets those that are being saved',
    noticedBy: ['S51'],
    ...brokenStore((backend, options) => {
      const saved = new Map<string, Session>()
      const store = withSet(new SessionStore(backend, options), (set, id, session, done) => {
        saved.set(id, session)
        set(id, session, done)
      })
      const { destroyByUser } = store
      return Object.assign(store, {
        destroyByUser: async (...given: Parameters<typeof destroyByUser>) => {
          const removed = await destroyByUser.apply(store, given)
          for (const [id, session] of saved) await store.set(id, { ...session, '~loaded': undefined })
          return removed
        },
      })
    }),
  },
  {
    what: 'a store that seals nothing',
    noticedBy: ['S55', 'S56'],
    ...wronglySet(({ encryptionKeys: _, ...options }) => options),
  },
  {
    what: 'a store that accepts plain text beside sealed data',
    noticedBy: ['S56'],
    ...wronglySet((options) => (options.encryptionKeys ? { ...options, acceptPlaintext: true } : options)),
  },
  {
    what: 'a store that knows its newest key only',
    noticedBy: ['S57'],
    ...wronglySet(({ encryptionKeys, ...options }) =>
      encryptionKeys ? { ...options, encryptionKeys: encryptionKeys.slice(0, 1) } : options,
    ),
  },
  {
    what: 'a store that adopts nothing',
    noticedBy: ['S58'],
    ...wronglySet(({ adopt: _, ...options }) => options),
  },
  {
    what: 'a store that leaves adopted sessions where they were',
    noticedBy: ['S58'],
    ...wronglySet((options) => (options.adopt ? { ...options, keepOld: true } : options)),
  },
  {
    what: 'a store whose clock counts for the end of a session that it only loaded',
    noticedBy: ['S3', 'S4', 'S10', 'S11', 'S13', 'S17', 'S24', 'S41', 'S42', 'S43', 'S49', 'S54', 'S59'],
    ...brokenStore((backend, options) =>
      withSet(new SessionStore(backend, options), (set, id, session, done) => {
        // As if the application had asked for the end that the plugin makes up at load.
        const cookie = session.cookie as { originalMaxAge?: unknown } | undefined
        set(id, cookie?.originalMaxAge ? { ...session, cookie: { ...cookie, originalMaxAge: null } } : session, done)
      }),
    ),
  },
]
