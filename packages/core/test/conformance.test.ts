import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { abilitiesOf, cases, casesFor, type MakeStore } from '../src/conformance/index.ts'
import { type Backend, MemoryStore, type SessionRecord, SessionStore, type StoreOptions } from '../src/index.ts'

/** A line of docs/contract.md: the number of a rule, and the name of its case. */
const RULE = /^- \*\*([BS]\d+)\*\* (.+)$/gm

describe('docs/contract.md', () => {
  const rules = [...readFileSync(new URL('../../../docs/contract.md', import.meta.url), 'utf8').matchAll(RULE)].map(
    ([, rule, name]) => ({ rule, name }),
  )

  test('every rule names the case that proves it, and every case its rule', () => {
    expect(rules).toEqual(cases.map(({ rule, name }) => ({ rule, name })))
  })

  test('rule numbers and names are given once', () => {
    expect(new Set(rules.map(({ rule }) => rule)).size).toBe(rules.length)
    expect(new Set(rules.map(({ name }) => name)).size).toBe(rules.length)
  })
})

const verbs = ['read', 'write', 'replace', 'touch', 'remove', 'ping', 'prune', 'count', 'scan', 'clear'] as const

/** Stores that are broken on purpose, and the rules that must notice. */
const broken: Array<{ what: string; noticedBy: string[]; make: MakeStore }> = [
  {
    what: 'a backend that brings back what was destroyed',
    noticedBy: ['B15', 'B20', 'B26', 'S21'],
    make: breaking((backend) => ({
      replace: async (key, record, version) => {
        const answer = await backend.replace(key, record, version)
        return answer === 'missing' ? backend.write(key, record) : answer
      },
    })),
  },
  {
    what: 'a backend that loses updates',
    noticedBy: ['B14', 'B16', 'B17', 'S13', 'S14', 'S15', 'S25', 'S26', 'S27', 'S29'],
    make: breaking((backend) => ({
      replace: async (key, record) => ((await backend.read(key)) ? backend.write(key, record) : 'missing'),
    })),
  },
  {
    what: "a backend that answers 'conflict' for what is missing",
    noticedBy: ['B15'],
    make: breaking((backend) => ({
      replace: async (key, record, version) => {
        const answer = await backend.replace(key, record, version)
        return answer === 'missing' ? 'conflict' : answer
      },
    })),
  },
  {
    what: 'a backend that counts its versions anew after a removal',
    noticedBy: ['B17'],
    make: breaking((backend) => {
      const counts = new Map<string, { count: number; version: string }>()
      const answer = (key: string, version: string) => {
        const count = (counts.get(key)?.count ?? 0) + 1
        counts.set(key, { count, version })
        return String(count)
      }
      const real = (key: string, counted: string) => {
        const now = counts.get(key)
        return now && String(now.count) === counted ? now.version : 'another'
      }
      return {
        read: async (key) => {
          const found = await backend.read(key)
          return found && { record: found.record, version: String(counts.get(key)?.count) }
        },
        write: async (key, record) => answer(key, await backend.write(key, record)),
        replace: async (key, record, version) => {
          const replaced = await backend.replace(key, record, real(key, version))
          return replaced === 'conflict' || replaced === 'missing' ? replaced : answer(key, replaced)
        },
        touch: (key, expiresAt, version) => backend.touch(key, expiresAt, real(key, version)),
        remove: async (key) => {
          counts.delete(key)
          return backend.remove(key)
        },
      }
    }),
  },
  {
    what: 'a backend whose touch changes the version',
    noticedBy: ['B8', 'B9', 'B18', 'B19', 'S17'],
    make: breaking((backend) => ({
      touch: async (key, expiresAt, version) => {
        const touched = await backend.touch(key, expiresAt, version)
        const found = await backend.read(key)
        if (touched && found) await backend.write(key, found.record)
        return touched
      },
    })),
  },
  {
    what: 'a backend whose touch moves an expiry back',
    noticedBy: ['B9'],
    make: breaking((backend) => {
      const moved = new Map<string, number>()
      return {
        read: async (key) => {
          const found = await backend.read(key)
          if (found) found.record.expiresAt = moved.get(found.version) ?? found.record.expiresAt
          return found
        },
        touch: async (key, expiresAt, version) => {
          const touched = await backend.touch(key, expiresAt, version)
          if (touched) moved.set(version, expiresAt)
          return touched
        },
      }
    }),
  },
  {
    what: 'a backend whose touch makes a record',
    noticedBy: ['B10', 'B20', 'B23', 'S22'],
    make: breaking((backend) => ({
      touch: async (key, expiresAt, version) => {
        if ((await backend.read(key)) !== undefined) return backend.touch(key, expiresAt, version)
        await backend.write(key, { data: '{}', createdAt: 0, expiresAt })
        return false
      },
    })),
  },
  {
    what: 'a backend whose touch writes back what it read a moment ago',
    noticedBy: ['B19', 'B20'],
    make: breaking((backend) => {
      const later = new Map<string, { record: SessionRecord; version: string }>()
      return {
        read: async (key) => {
          const found = await backend.read(key)
          return found && (later.get(key) ?? found)
        },
        touch: async (key, expiresAt, version) => {
          const found = await backend.read(key)
          if (found?.version !== version) return false
          await nextTurn()
          const record = { ...found.record, expiresAt: Math.max(found.record.expiresAt, expiresAt) }
          if ((await backend.read(key))?.version === version) return backend.touch(key, expiresAt, version)
          await backend.write(key, record)
          later.set(key, { record, version })
          return true
        },
      }
    }),
  },
  {
    what: 'a backend whose touch does not look at the version',
    noticedBy: ['B11', 'S12'],
    make: breaking((backend) => ({
      touch: async (key, expiresAt) => {
        const found = await backend.read(key)
        return found ? backend.touch(key, expiresAt, found.version) : false
      },
    })),
  },
  {
    what: 'a backend whose replace looks at the version first and writes then, one replace at a time',
    noticedBy: ['B20'],
    make: breaking((backend) => {
      let last: Promise<unknown> = Promise.resolve()
      return {
        replace: (key, record, version) => {
          const replacing = last.then(async () => {
            const found = await backend.read(key)
            if (found?.version !== version) return found ? 'conflict' : 'missing'
            await nextTurn()
            return backend.write(key, record)
          })
          last = replacing
          return replacing
        },
      }
    }),
  },
  {
    what: 'a backend whose replace keeps the user',
    noticedBy: ['B13'],
    make: breaking((backend) => ({
      replace: async (key, { userId, ...record }, version) => {
        const found = await backend.read(key)
        const kept = found?.record.userId === undefined ? {} : { userId: found.record.userId }
        return backend.replace(key, { ...record, ...kept }, version)
      },
    })),
  },
  {
    what: 'a backend whose touch does not tell the server, which then collects early',
    noticedBy: ['B21'],
    make: breaking((backend) => {
      const ends = new Map<string, number>()
      const noting = (key: string, expiresAt: number) => ends.set(key, expiresAt)
      return {
        prune: undefined as never,
        read: async (key) =>
          (ends.get(key) ?? Number.POSITIVE_INFINITY) <= Date.now() ? undefined : backend.read(key),
        write: (key, record) => {
          noting(key, record.expiresAt)
          return backend.write(key, record)
        },
        replace: async (key, record, version) => {
          const answer = await backend.replace(key, record, version)
          if (answer !== 'conflict' && answer !== 'missing') noting(key, record.expiresAt)
          return answer
        },
      }
    }),
  },
  {
    what: 'a backend that gives its server seconds for milliseconds',
    noticedBy: ['B21'],
    make: breaking((backend) => {
      const collects = new Map<string, number>()
      const collected = (key: string) => (collects.get(key) ?? Number.POSITIVE_INFINITY) <= Date.now()
      return {
        prune: undefined as never,
        read: (key) => (collected(key) ? undefined : backend.read(key)),
        write: (key, record) => {
          // Not sooner than the other cases end, on a busy machine too.
          collects.set(key, Date.now() + Math.max(1500, (record.expiresAt - Date.now()) / 1000))
          return backend.write(key, record)
        },
      }
    }),
  },
  {
    what: 'a backend that prunes what it found expired a moment ago',
    noticedBy: ['B23'],
    make: breaking((backend) => ({
      prune: async (now) => {
        const expired: string[] = []
        for await (const { key, record } of backend.scan?.() ?? []) if (record.expiresAt <= now) expired.push(key)
        await nextTurn()
        for (const key of expired) await backend.remove(key)
        return { removed: expired.length, done: true }
      },
    })),
  },
  {
    what: 'a backend whose scan pages by number',
    noticedBy: ['B25'],
    make: breaking((backend) => ({
      scan: async function* () {
        for (let from = 0; ; from += 50) {
          const all: Array<{ key: string; record: SessionRecord }> = []
          for await (const entry of backend.scan?.() ?? []) all.push(entry)
          if (from >= all.length) return
          yield* all.slice(from, from + 50)
        }
      },
    })),
  },
  {
    what: 'a backend whose scan rounds the times',
    noticedBy: ['B25'],
    make: breaking((backend) => ({
      scan: async function* () {
        for await (const { key, record } of backend.scan?.() ?? []) {
          yield { key, record: { ...record, expiresAt: Math.round(record.expiresAt / 1000) * 1000 } }
        }
      },
    })),
  },
  {
    what: 'a backend that forgets the user',
    noticedBy: ['B2', 'B8'],
    make: breaking((backend) => ({ write: (key, { userId, ...record }) => backend.write(key, record) })),
  },
  {
    what: 'a backend with 32 bits for seconds',
    noticedBy: ['B5', 'S8'],
    make: breaking((backend) => ({
      write: (key, record) => backend.write(key, { ...record, expiresAt: Math.min(record.expiresAt, 2 ** 32 * 1000) }),
    })),
  },
  {
    what: 'a backend that cuts data off',
    noticedBy: ['B4'],
    make: breaking((backend) => ({
      write: (key, record) => backend.write(key, { ...record, data: record.data.slice(0, 20_000) }),
    })),
  },
  {
    what: 'a backend that gives out what it keeps',
    noticedBy: ['B6'],
    make: breaking((backend) => {
      const given = new Map<string, Awaited<ReturnType<Backend['read']>>>()
      return {
        read: async (key) => {
          const found = await backend.read(key)
          const kept = given.get(key)
          if (!found || kept?.version !== found.version) given.set(key, found)
          else kept.record.expiresAt = found.record.expiresAt
          return given.get(key)
        },
      }
    }),
  },
  {
    what: 'a backend that always says it removed something',
    noticedBy: ['B12'],
    make: breaking((backend) => ({ remove: async (key) => Boolean([await backend.remove(key)]) })),
  },
  {
    what: 'a backend that prunes a millisecond early',
    noticedBy: ['B22'],
    make: breaking((backend) => ({ prune: (now) => backend.prune?.(now + 1) ?? { removed: 0, done: true } })),
  },
  {
    what: 'a backend that counts what has expired',
    noticedBy: ['B24'],
    make: breaking((backend) => ({ count: () => backend.count?.(0) ?? 0 })),
  },
  {
    what: 'a backend whose scan ends after a batch',
    noticedBy: ['B25'],
    make: breaking((backend) => ({
      scan: async function* () {
        let n = 0
        for await (const entry of backend.scan?.() ?? []) {
          n += 1
          if (n <= 100) yield entry
        }
      },
    })),
  },
  { what: 'a backend that clears nothing', noticedBy: ['B26'], make: breaking(() => ({ clear: () => {} })) },
  {
    what: 'a backend that answers pings with an error',
    noticedBy: ['B27'],
    make: breaking(() => ({ ping: () => Promise.reject(new Error('no')) })),
  },
  {
    what: 'a store that gives out what has just expired: off by a millisecond',
    noticedBy: ['S1'],
    make: (options) => withExpired(options, (expiresAt) => expiresAt === options.now?.()),
  },
  {
    what: 'a store that gives out what has expired',
    noticedBy: ['S1', 'S2', 'S3', 'S9', 'S12', 'S13', 'S14', 'S23'],
    make: (options) => withExpired(options, () => true),
  },
  {
    what: 'a backend that has another word for nothing',
    noticedBy: ['B1', 'B10', 'B12', 'B15', 'B20', 'B22', 'B23', 'B26', 'S5', 'S20', 'S21', 'S22', 'S31', 'S35'],
    make: breaking((backend) => ({ read: async (key) => (await backend.read(key)) ?? (null as never) })),
  },
  {
    what: 'a backend whose write answers the version before',
    noticedBy: ['B3', 'B11'],
    make: breaking((backend) => ({
      write: async (key, record) => {
        const before = await backend.read(key)
        const version = await backend.write(key, record)
        return before?.version ?? version
      },
    })),
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
    ],
    make: (options) => withSet(new MemoryStore(options), (set, id, { '~loaded': _, ...session }) => set(id, session)),
  },
  {
    what: 'a store that ends a session when a slow request saves it',
    noticedBy: ['S8', 'S10', 'S35'],
    make: (options) => {
      const store = new MemoryStore(options)
      return withSet(store, (set, id, session) => {
        const { expires } = (session.cookie ?? {}) as { expires?: Date | null }
        return expires && expires.getTime() <= (options.now?.() ?? 0) ? store.destroy(id) : set(id, session)
      })
    },
  },
  {
    what: 'a store that shows the expiry a request would like, not the true one',
    noticedBy: ['S4', 'S7'],
    make: (options) =>
      withGet(new MemoryStore(options), (get, id, callback) =>
        get(id, (error, session) => {
          const { cookie } = (session ?? {}) as { cookie?: { expires: Date | null; originalMaxAge: number | null } }
          if (cookie?.originalMaxAge) cookie.expires = new Date((options.now?.() ?? 0) + cookie.originalMaxAge)
          callback(error, session)
        }),
      ),
  },
  {
    what: 'a store that swallows errors',
    noticedBy: ['S6', 'S34', 'S35'],
    make: (options) => withSet(new MemoryStore(options), (set, id, session) => set(id, session).catch(() => {})),
  },
  {
    what: 'a store whose touch stores changes',
    noticedBy: ['S24'],
    make: (options) => {
      const store = new MemoryStore(options)
      return Object.assign(store, { touch: store.set.bind(store) })
    },
  },
  {
    what: 'a store that makes each save a new session',
    noticedBy: ['B13', 'B14', 'B19', 'S10', 'S13', 'S14', 'S15', 'S18', 'S25', 'S26', 'S27', 'S29', 'S30'],
    make: breaking((backend) => ({
      replace: (key, record, version) => backend.replace(key, { ...record, createdAt: record.createdAt + 1 }, version),
    })),
  },
  {
    what: 'a backend that removes nothing',
    noticedBy: ['B7', 'B10', 'B12', 'B15', 'B20', 'B24', 'S5', 'S20', 'S21', 'S22', 'S35'],
    make: breaking(() => ({ remove: () => false })),
  },
  {
    what: 'a store that saves one object once',
    noticedBy: ['S13', 'S19', 'S27'],
    make: (options) => {
      const saved = new WeakSet<object>()
      return withSet(new MemoryStore(options), async (set, id, session) => {
        if (saved.has(session)) return
        saved.add(session)
        await set(id, session)
      })
    },
  },
  {
    what: 'a store that knows no onConflict',
    noticedBy: ['S30'],
    make: ({ onConflict: _, ...options }) => new MemoryStore(options),
  },
  {
    what: 'a store that knows no maxBytes',
    noticedBy: ['S34'],
    make: ({ maxBytes: _, ...options }) => new MemoryStore(options),
  },
  {
    what: 'a store that keeps the id',
    noticedBy: ['S18', 'S19', 'S24', 'S25', 'S26', 'S27', 'S28', 'S29', 'S30', 'S31', 'S34'],
    make: (options) => withSet(new MemoryStore(options), (set, id, session) => set(id, Object.assign(session, { id }))),
  },
  {
    what: 'a store that deletes what it cannot read',
    noticedBy: ['S32'],
    make: (options) => {
      const store = new MemoryStore(options)
      return withGet(store, (get, id, callback) =>
        get(id, async (error, session) => {
          if (session === null) await store.destroy(id)
          callback(error, session)
        }),
      )
    },
  },
  {
    what: 'a store that parses with JSON.parse',
    noticedBy: ['S33'],
    make: (options) => new MemoryStore({ ...options, serializer: JSON }),
  },
  {
    what: 'a store that pretends',
    noticedBy: ['S36'],
    make: (options) => {
      const { clear: _, ...rest } = boundVerbs(new MemoryStore(options).backend)
      return Object.assign(new SessionStore({ name: 'broken', ...rest } as Backend, options), { clear: async () => {} })
    },
  },
  {
    what: 'a store that does not close',
    noticedBy: ['S37'],
    make: (options) => Object.assign(new MemoryStore(options), { close: async () => {} }),
  },
  {
    what: 'a store that calls back twice',
    noticedBy: ['S35'],
    make: (options) =>
      withGet(new MemoryStore(options), (get, id, callback) =>
        get(id, (...given) => {
          callback(...given)
          callback(...given)
        }),
      ),
  },
  {
    what: 'a store that calls back at once',
    noticedBy: ['S35'],
    make: (options) => {
      const store = new MemoryStore(options)
      const get: Get = store.get.bind(store)
      const broken = (id: string, callback: Parameters<Get>[1]) => (callback ? callback(null, null) : get(id, callback))
      return Object.assign(store, { get: broken as MemoryStore['get'] })
    },
  },
]

test('every case can fail: some broken store is noticed by it', () => {
  const noticing = new Set(broken.flatMap(({ noticedBy }) => noticedBy))
  expect(cases.map(({ rule }) => rule).filter((rule) => !noticing.has(rule))).toEqual([])
})

describe('the cases notice', () => {
  for (const { what, noticedBy, make } of broken) {
    test(`${what}: ${noticedBy.join(', ')}`, async () => {
      const failed: string[] = []
      const abilities = abilitiesOf(await make({ pruneInterval: false }))
      for (const { rule, run } of casesFor(abilities)) await run(make).catch(() => failed.push(rule))
      expect(failed).toEqual(noticedBy)
    })
  }
})

/** A store over a sound backend, some of whose verbs are replaced by broken ones. */
function breaking(breakIt: (sound: Backend) => Partial<Backend>): MakeStore {
  return (options: StoreOptions) => {
    const sound = new MemoryStore(options).backend
    return new SessionStore({ name: 'broken', ...boundVerbs(sound), ...breakIt(sound) } as Backend, options)
  }
}

function boundVerbs(backend: Backend): Partial<Backend> {
  return Object.fromEntries(verbs.map((verb) => [verb, (backend[verb] as () => never).bind(backend)]))
}

type Save = (id: string, session: Record<string, unknown>) => Promise<void>

/** The store with another way to save. */
function withSet(store: MemoryStore, save: (set: Save, ...given: Parameters<Save>) => Promise<void>): MemoryStore {
  const set: Save = store.set.bind(store)
  const broken = (id: string, session: Record<string, unknown>, callback?: (error?: unknown) => void) => {
    const saved = save(set, id, session)
    if (callback === undefined) return saved
    saved.then(
      () => process.nextTick(callback, null),
      (error) => process.nextTick(callback, error),
    )
  }
  return Object.assign(store, { set: broken as MemoryStore['set'] })
}

type Get = (id: string, callback: (error: unknown, session?: unknown) => void) => void

/** The store with another way to answer `get`. */
function withGet(store: MemoryStore, answer: (get: Get, ...given: Parameters<Get>) => void): MemoryStore {
  const get: Get = store.get.bind(store)
  const broken = (id: string, callback?: Parameters<Get>[1]) => {
    if (callback) return answer(get, id, callback)
    return new Promise((resolve, reject) => {
      answer(get, id, (error, session) => (error ? reject(error) : resolve(session)))
    })
  }
  return Object.assign(store, { get: broken as MemoryStore['get'] })
}

/** A store that finds expired sessions which this function chooses. */
function withExpired(options: StoreOptions, choose: (expiresAt: number) => boolean): MemoryStore {
  const store = new MemoryStore(options)
  return withGet(store, async (get, id, callback) => {
    const found = await store.backend.read(hash('sha256', id, 'base64url'))
    const record = found && found.record.expiresAt <= (options.now?.() ?? 0) ? found.record : undefined
    if (record && choose(record.expiresAt)) callback(null, JSON.parse(record.data))
    else get(id, callback)
  })
}
