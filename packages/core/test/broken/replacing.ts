import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Broken, brokenServer } from './open.ts'

/** What can be wrong with replace, and with verbs that are sent again. */
export const brokenReplacing: Broken[] = [
  {
    what: 'a backend that brings back what was destroyed',
    noticedBy: ['B15', 'B20', 'B26', 'B30', 'B47', 'S21', 'S41', 'S51'],
    ...brokenServer(({ write, replace }) => ({
      replace: (key, record, version, expected) => {
        const answer = replace(key, record, version, expected)
        if (answer !== 'missing') return answer
        write(key, record, version)
        return 'replaced'
      },
    })),
  },
  {
    what: 'a backend that loses updates',
    noticedBy: [
      'B14',
      'B16',
      'B17',
      'B30',
      'B39',
      'B40',
      'S13',
      'S14',
      'S15',
      'S25',
      'S26',
      'S27',
      'S28',
      'S29',
      'S41',
      'S55',
      'S57',
      'S58',
    ],
    ...brokenServer(({ read, write }) => ({
      replace: (key, record, version) => {
        if (!read(key)) return 'missing'
        write(key, record, version)
        return 'replaced'
      },
    })),
  },
  {
    what: "a backend that answers 'conflict' for what is missing",
    noticedBy: ['B15', 'B30', 'B47'],
    ...brokenServer(({ replace }) => ({
      replace: (key, record, version, expected) => {
        const answer = replace(key, record, version, expected)
        return answer === 'missing' ? 'conflict' : answer
      },
    })),
  },
  {
    what: 'a backend that counts writes in place of comparing versions, and begins again after a removal',
    noticedBy: ['B17', 'B39'],
    ...brokenServer(({ read, write, replace, touch, remove }) => {
      const counts = new Map<string, number>()
      const countAt = new Map<string, number>()
      const counted = (key: string, version: string) => {
        const count = (counts.get(key) ?? 0) + 1
        counts.set(key, count)
        countAt.set(version, count)
      }
      const versionFor = (key: string, expected: string) =>
        countAt.get(expected) === counts.get(key) ? (read(key)?.version ?? expected) : expected
      return {
        write: (key, record, version) => {
          counted(key, version)
          write(key, record, version)
        },
        replace: (key, record, version, expected) => {
          const answer = replace(key, record, version, versionFor(key, expected))
          if (answer === 'replaced' && !countAt.has(version)) counted(key, version)
          return answer
        },
        touch: (key, expiresAt, expected) => touch(key, expiresAt, versionFor(key, expected)),
        remove: (key) => {
          counts.delete(key)
          return remove(key)
        },
      }
    }),
  },
  {
    what: 'a backend whose replace looks at the version first and writes then, one replace at a time',
    noticedBy: ['B20', 'B47', 'S51'],
    ...brokenServer(({ read, write }) => {
      let last: Promise<unknown> = Promise.resolve()
      return {
        replace: (key, record, version, expected) => {
          const replacing = last.then(async () => {
            const found = read(key)
            if (found?.version === version) return 'replaced'
            if (found?.version !== expected) return found ? 'conflict' : 'missing'
            await nextTurn()
            write(key, record, version)
            return 'replaced'
          })
          last = replacing
          return replacing
        },
      }
    }),
  },
  {
    what: 'a backend whose replace keeps the user',
    noticedBy: ['B13', 'B38', 'B44', 'B45', 'B47', 'S52', 'S54'],
    ...brokenServer(({ read, replace }) => ({
      replace: (key, { userId, ...record }, version, expected) => {
        const kept = read(key)?.record.userId
        return replace(key, kept === undefined ? record : { ...record, userId: kept }, version, expected)
      },
    })),
  },
  {
    what: 'a backend whose replace moves the beginning',
    noticedBy: [
      'B6',
      'B13',
      'B14',
      'B19',
      'B29',
      'B30',
      'B31',
      'B38',
      'B39',
      'S10',
      'S13',
      'S14',
      'S15',
      'S18',
      'S25',
      'S26',
      'S27',
      'S28',
      'S29',
      'S30',
      'S40',
      'S41',
      'S55',
      'S57',
      'S58',
    ],
    ...brokenServer(({ replace }) => ({
      replace: (key, record, version, expected) =>
        replace(key, { ...record, createdAt: record.createdAt + 1 }, version, expected),
    })),
  },
  {
    what: "a backend that answers 'conflict' to a replace that is sent again",
    noticedBy: ['B29', 'B30', 'S41'],
    ...brokenServer(({ read, replace }) => ({
      replace: (key, record, version, expected) =>
        read(key)?.version === version ? 'conflict' : replace(key, record, version, expected),
    })),
  },
  {
    what: 'a backend that replaces once more when a replace is sent again',
    noticedBy: ['B30'],
    ...brokenServer(({ read, write, replace }) => ({
      replace: (key, record, version, expected) => {
        if (read(key)?.version !== version) return replace(key, record, version, expected)
        write(key, record, version)
        return 'replaced'
      },
    })),
  },
  {
    what: 'a backend that remembers which replaces it has done, and does not look again',
    noticedBy: ['B30'],
    ...brokenServer(({ replace }) => {
      const done = new Set<string>()
      return {
        replace: (key, record, version, expected) => {
          if (done.has(version)) return 'replaced'
          const answer = replace(key, record, version, expected)
          if (answer === 'replaced') done.add(version)
          return answer
        },
      }
    }),
  },
  {
    what: 'a backend that refuses a write that is sent again, as an INSERT does',
    noticedBy: ['B28', 'S41'],
    ...brokenServer(({ read, write }) => ({
      write: (key, record, version) => {
        if (read(key)?.version === version) throw new Error('duplicate key')
        write(key, record, version)
      },
    })),
  },
  {
    what: 'a backend that answers false to a touch that moves nothing',
    noticedBy: ['B9', 'B31'],
    ...brokenServer(({ read, touch }) => ({
      touch: (key, expiresAt, expected) => read(key)?.record.expiresAt !== expiresAt && touch(key, expiresAt, expected),
    })),
  },
  {
    what: 'a backend that fails when there is nothing to remove',
    noticedBy: ['B12', 'B32', 'S5', 'S20', 'S41', 'S45', 'S58'],
    ...brokenServer(({ remove }) => ({
      remove: (key) => {
        if (!remove(key)) throw new Error('no such key')
        return true
      },
    })),
  },
]
