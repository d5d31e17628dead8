import { setImmediate as nextTurn } from 'node:timers/promises'
import { newVersion, type SessionRecord, type StoredRecord } from '../../src/index.ts'
import { type Broken, brokenProcess, brokenServer } from './open.ts'

/** What can be wrong with read, write, touch and remove. */
export const brokenRecords: Broken[] = [
  {
    what: 'a backend that has another word for nothing',
    noticedBy: [
      'B0',
      'B1',
      'B10',
      'B12',
      'B15',
      'B20',
      'B22',
      'B23',
      'B26',
      'B30',
      'B31',
      'B32',
      'B35',
      'B36',
      'B39',
      'B46',
      'S5',
      'S20',
      'S21',
      'S22',
      'S31',
      'S35',
      'S38',
      'S39',
      'S40',
      'S41',
      'S49',
      'S50',
      'S51',
    ],
    ...brokenServer(({ read }) => ({ read: (key) => read(key) ?? (null as never) })),
  },
  {
    what: 'a backend that forgets the user',
    noticedBy: ['B2', 'B8', 'B25', 'B28', 'B38', 'B43', 'B44', 'B45', 'B46', 'S49', 'S50', 'S51', 'S52', 'S53'],
    ...brokenServer(({ write }) => ({ write: (key, { userId, ...record }, version) => write(key, record, version) })),
  },
  {
    what: 'a backend that keeps the version of what it overwrites',
    noticedBy: ['B3', 'B11', 'B24', 'B28', 'B38'],
    ...brokenServer(({ read, write }) => ({
      write: (key, record, version) => write(key, record, read(key)?.version ?? version),
    })),
  },
  {
    what: 'a backend whose write keeps the beginning of what it overwrites',
    noticedBy: ['B3', 'B22'],
    ...brokenServer(({ read, write }) => ({
      write: (key, record, version) => {
        const createdAt = read(key)?.record.createdAt ?? record.createdAt
        write(key, { ...record, createdAt }, version)
      },
    })),
  },
  {
    what: 'a backend with 32 bits for seconds',
    noticedBy: ['B5', 'S8'],
    ...brokenServer(({ write }) => ({
      write: (key, record, version) =>
        write(key, { ...record, expiresAt: Math.min(record.expiresAt, 2 ** 32 * 1000) }, version),
    })),
  },
  {
    what: 'a backend that cuts data off',
    noticedBy: ['B4', 'B41'],
    ...brokenServer(({ write }) => ({
      write: (key, record, version) => write(key, { ...record, data: record.data.slice(0, 20_000) }, version),
    })),
  },
  {
    what: 'a backend whose write keeps the very record that it is given',
    noticedBy: ['B6'],
    ...brokenServer(({ read, write }) => {
      const given = new Map<string, SessionRecord>()
      return {
        read: (key) => withDataOf(given, read(key)),
        write: (key, record, version) => {
          given.set(version, record)
          write(key, record, version)
        },
      }
    }),
  },
  {
    what: 'a backend whose replace keeps the very record that it is given',
    noticedBy: ['B6'],
    ...brokenServer(({ read, replace }) => {
      const given = new Map<string, SessionRecord>()
      return {
        read: (key) => withDataOf(given, read(key)),
        replace: (key, record, version, expected) => {
          given.set(version, record)
          return replace(key, record, version, expected)
        },
      }
    }),
  },
  {
    what: 'a backend whose read gives out what it keeps',
    noticedBy: ['B6'],
    ...brokenServer(({ read }) => {
      const given = new Map<string, SessionRecord>()
      return {
        read: (key) => {
          const found = withDataOf(given, read(key))
          if (found) given.set(found.version, found.record)
          return found
        },
      }
    }),
  },
  {
    what: 'a backend whose scan gives out what it keeps',
    noticedBy: ['B6'],
    ...brokenServer(({ read, scan }) => {
      const given = new Map<string, SessionRecord>()
      return {
        read: (key) => withDataOf(given, read(key)),
        scan: (from) => {
          const batch = scan(from)
          for (const { key, record } of batch.records) given.set(read(key)?.version ?? '', record)
          return batch
        },
      }
    }),
  },
  {
    what: 'a backend whose touch changes the version',
    noticedBy: ['B8', 'B9', 'B18', 'B19', 'B30', 'B31', 'S17'],
    ...brokenServer(({ read, write, touch }) => ({
      touch: (key, expiresAt, expected) => {
        const touched = touch(key, expiresAt, expected)
        const found = read(key)
        if (touched && found) write(key, found.record, newVersion())
        return touched
      },
    })),
  },
  {
    what: 'a backend whose touch moves an expiry back',
    noticedBy: ['B9'],
    ...brokenServer(({ read, write }) => ({
      touch: (key, expiresAt, expected) => {
        const found = read(key)
        if (found?.version !== expected) return false
        write(key, { ...found.record, expiresAt }, expected)
        return true
      },
    })),
  },
  {
    what: 'a backend whose touch makes a record',
    noticedBy: ['B10', 'B20', 'B23', 'B31', 'S22'],
    ...brokenServer(({ read, write, touch }) => ({
      touch: (key, expiresAt, expected) => {
        if (read(key)) return touch(key, expiresAt, expected)
        write(key, { data: '{}', createdAt: 0, expiresAt }, expected)
        return false
      },
    })),
  },
  {
    what: 'a backend whose touch writes back what it read a moment ago',
    noticedBy: ['B19', 'B20'],
    ...brokenServer(({ read, write }) => ({
      touch: async (key, expiresAt, expected) => {
        const found = read(key)
        if (found?.version !== expected) return false
        await nextTurn()
        write(key, { ...found.record, expiresAt: Math.max(found.record.expiresAt, expiresAt) }, expected)
        return true
      },
    })),
  },
  {
    what: 'a backend whose touch does not look at the version',
    noticedBy: ['B11', 'B31', 'B39', 'S12'],
    ...brokenServer(({ read, touch }) => ({
      touch: (key, expiresAt) => touch(key, expiresAt, read(key)?.version ?? ''),
    })),
  },
  {
    what: 'a backend that always says it removed something',
    noticedBy: ['B12'],
    ...brokenServer(({ remove }) => ({ remove: (key) => remove(key) || true })),
  },
  {
    what: 'a backend that removes nothing',
    noticedBy: [
      'B7',
      'B10',
      'B12',
      'B15',
      'B20',
      'B24',
      'B30',
      'B31',
      'B32',
      'B39',
      'B44',
      'S5',
      'S20',
      'S21',
      'S22',
      'S35',
      'S38',
      'S40',
      'S41',
      'S49',
      'S58',
    ],
    ...brokenServer(() => ({ remove: () => false })),
  },
  {
    what: 'a backend with a cache of its own in each process',
    noticedBy: ['S13', 'S38', 'S58'],
    ...brokenProcess(({ read, write, replace, touch, remove, prune, clear }) => {
      const cache = new Map<string, StoredRecord | undefined>()
      const forgetting = <Args extends unknown[], T>(verb: (...args: Args) => T) => {
        return (...args: Args) => {
          cache.clear()
          return verb(...args)
        }
      }
      return {
        read: (key) => {
          if (!cache.has(key)) cache.set(key, read(key))
          return structuredClone(cache.get(key))
        },
        write: forgetting(write),
        replace: forgetting(replace),
        touch: forgetting(touch),
        remove: forgetting(remove),
        prune: forgetting(prune),
        clear: forgetting(clear),
      }
    }),
  },
]

/** What was found, with the data of an object that somebody else may have changed since. */
function withDataOf(given: Map<string, SessionRecord>, found: StoredRecord | undefined): StoredRecord | undefined {
  const live = found && given.get(found.version)
  return live ? { version: found.version, record: Object.assign(live, { ...found.record, data: live.data }) } : found
}
