import { randomUUID } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Batch, KeyedRecord } from '../../src/index.ts'
import { type Broken, brokenServer } from './open.ts'
import { isOver } from './server.ts'

/** What can be wrong with the verbs that only some backends have. */
export const brokenBatches: Broken[] = [
  {
    what: 'a backend whose touch does not tell the server, which then collects early',
    noticedBy: ['B21'],
    ...brokenServer(({ read, write, replace }) => {
      const ends = new Map<string, number>()
      const isCollected = (key: string) => (ends.get(key) ?? Number.POSITIVE_INFINITY) <= Date.now()
      return {
        prune: undefined as never,
        read: (key) => (isCollected(key) ? undefined : read(key)),
        write: (key, record, version) => {
          ends.set(key, record.expiresAt)
          write(key, record, version)
        },
        replace: (key, record, version, expected) => {
          const answer = replace(key, record, version, expected)
          if (answer === 'replaced') ends.set(key, record.expiresAt)
          return answer
        },
      }
    }),
  },
  {
    what: 'a backend that gives its server seconds for milliseconds',
    noticedBy: ['B21'],
    ...brokenServer(({ read, write }) => {
      const ends = new Map<string, number>()
      const isCollected = (key: string) => (ends.get(key) ?? Number.POSITIVE_INFINITY) <= Date.now()
      return {
        prune: undefined as never,
        read: (key) => (isCollected(key) ? undefined : read(key)),
        write: (key, record, version) => {
          // Not sooner than the other cases end, on a busy machine too.
          ends.set(key, Date.now() + Math.max(1500, (record.expiresAt - Date.now()) / 1000))
          write(key, record, version)
        },
      }
    }),
  },
  {
    what: 'a backend that prunes a millisecond early',
    noticedBy: ['B22'],
    ...brokenServer(({ prune }) => ({
      prune: (cutoff, from) => prune({ ...cutoff, expiresAt: cutoff.expiresAt + 1 }, from),
    })),
  },
  {
    what: 'a backend that prunes what it found expired a moment ago',
    noticedBy: ['B23'],
    ...brokenServer(({ scan, remove }) => ({
      prune: async (cutoff, from) => {
        const { records, next } = scan(from)
        const over = records.filter(({ record }) => isOver(record, cutoff))
        await nextTurn()
        for (const { key } of over) remove(key)
        return { removed: over.length, next }
      },
    })),
  },
  {
    what: 'a backend that prunes and counts by the end that was written, not by the one that was touched',
    noticedBy: ['B22', 'B24'],
    ...brokenServer(({ write, replace, remove, scan }) => {
      const ends = new Map<string, number>()
      const asWritten = ({ key, record }: KeyedRecord) => ({ ...record, expiresAt: ends.get(key) ?? record.expiresAt })
      return {
        write: (key, record, version) => {
          ends.set(key, record.expiresAt)
          write(key, record, version)
        },
        replace: (key, record, version, expected) => {
          const answer = replace(key, record, version, expected)
          if (answer === 'replaced') ends.set(key, record.expiresAt)
          return answer
        },
        prune: (cutoff, from) => {
          const { records, next } = scan(from)
          const over = records.filter((each) => isOver(asWritten(each), cutoff))
          for (const { key } of over) remove(key)
          return { removed: over.length, next }
        },
        count: (cutoff, from) => {
          const { records, next } = scan(from)
          return { count: records.filter((each) => !isOver(asWritten(each), cutoff)).length, next }
        },
      }
    }),
  },
  {
    what: 'a backend that prunes by the clock of the process alone',
    noticedBy: ['S39'],
    ...brokenServer(({ prune }) => ({
      prune: ({ expiresAt, createdAt }, from, { now }) =>
        prune({ expiresAt: Math.max(expiresAt, now), createdAt }, from),
    })),
  },
  {
    what: 'a backend that prunes and counts without a look at when a session began',
    noticedBy: ['B22', 'B24'],
    ...brokenServer(({ prune, count }) => ({
      prune: ({ expiresAt }, from) => prune({ expiresAt, createdAt: -8.64e15 }, from),
      count: ({ expiresAt }, from) => count({ expiresAt, createdAt: -8.64e15 }, from),
    })),
  },
  {
    what: 'a backend whose pruning ends after a batch',
    noticedBy: ['B22', 'B35'],
    ...brokenServer(({ prune }) => ({ prune: (cutoff, from) => ({ ...prune(cutoff, from), next: undefined }) })),
  },
  {
    what: 'a backend whose pruning never ends',
    noticedBy: ['B22', 'B23', 'B35'],
    ...brokenServer(({ prune }) => {
      const again = endless()
      return { prune: (cutoff, from) => again(prune(cutoff, from)) }
    }),
  },
  {
    what: 'a backend that counts what has expired',
    noticedBy: ['B24'],
    ...brokenServer(({ count }) => ({ count: ({ createdAt }, from) => count({ expiresAt: 0, createdAt }, from) })),
  },
  {
    what: 'a backend whose count ends after a batch',
    noticedBy: ['B24', 'B33'],
    ...brokenServer(({ count }) => ({ count: (cutoff, from) => ({ ...count(cutoff, from), next: undefined }) })),
  },
  {
    what: 'a backend whose scan ends after a batch',
    noticedBy: ['B25', 'B34'],
    ...brokenServer(({ scan }) => ({ scan: (from) => ({ ...scan(from), next: undefined }) })),
  },
  {
    what: 'a backend whose scan pages by number',
    noticedBy: ['B25'],
    ...brokenServer(({ scan }) => ({
      scan: (from = '0') => {
        const all: KeyedRecord[] = []
        for (let next: string | undefined = ''; next !== undefined; ) {
          const batch = scan(next)
          all.push(...batch.records)
          next = batch.next
        }
        const to = Number(from) + 50
        return { records: all.slice(Number(from), to), next: to < all.length ? String(to) : undefined }
      },
    })),
  },
  {
    what: 'a backend whose scan rounds the times',
    noticedBy: ['B25'],
    ...brokenServer(({ scan }) => ({
      scan: (from) => {
        const { records, next } = scan(from)
        const toSecond = (ms: number) => Math.round(ms / 1000) * 1000
        const rounded = records.map(({ key, record }) => ({
          key,
          record: { ...record, expiresAt: toSecond(record.expiresAt) },
        }))
        return { records: rounded, next }
      },
    })),
  },
  {
    what: 'a backend whose scan leaves out the user',
    noticedBy: ['B25'],
    ...brokenServer(({ scan }) => ({
      scan: (from) => {
        const { records, next } = scan(from)
        return { records: records.map(({ key, record: { userId, ...record } }) => ({ key, record })), next }
      },
    })),
  },
  {
    what: 'a backend that clears nothing',
    noticedBy: ['B26', 'B36'],
    ...brokenServer(() => ({ clear: () => ({}) })),
  },
  {
    what: 'a backend whose clearing ends after a batch',
    noticedBy: ['B26', 'B36'],
    ...brokenServer(({ clear }) => ({
      clear: (from) => {
        clear(from)
        return {}
      },
    })),
  },
  {
    what: 'a backend whose clearing never ends',
    noticedBy: ['B26', 'B36'],
    ...brokenServer(({ clear }) => {
      const again = endless()
      return { clear: (from) => again(clear(from)) }
    }),
  },
  {
    what: 'a backend with cursors that can be used once',
    noticedBy: ['B33', 'B34', 'B35', 'B36'],
    ...brokenServer(({ prune, count, scan, clear }) => {
      const places = new Map<string, string>()
      const use = (cursor: string | undefined) => {
        const place = cursor && places.get(cursor)
        if (cursor && !places.delete(cursor)) throw new Error('no such cursor')
        return place
      }
      const withCursor = <B extends Batch>(batch: B): B => {
        if (batch.next === undefined) return batch
        const cursor = randomUUID()
        places.set(cursor, batch.next)
        return { ...batch, next: cursor }
      }
      return {
        prune: (cutoff, from) => withCursor(prune(cutoff, use(from))),
        count: (cutoff, from) => withCursor(count(cutoff, use(from))),
        scan: (from) => withCursor(scan(use(from))),
        clear: (from) => withCursor(clear(use(from))),
      }
    }),
  },
  {
    what: 'a backend that goes on where it was, not where it is told to',
    noticedBy: ['B33', 'B34'],
    ...brokenServer(({ prune, count, scan, clear }) => {
      const places = new Map<string, string | undefined>()
      const goOn = <B extends Batch>(verb: string, from: string | undefined, step: (from: string | undefined) => B) => {
        const batch = step(from === undefined ? undefined : places.get(verb))
        places.set(verb, batch.next)
        return batch
      }
      return {
        prune: (cutoff, from) => goOn('prune', from, (place) => prune(cutoff, place)),
        count: (cutoff, from) => goOn('count', from, (place) => count(cutoff, place)),
        scan: (from) => goOn('scan', from, scan),
        clear: (from) => goOn('clear', from, clear),
      }
    }),
  },
  {
    what: 'a backend that answers pings with an error',
    noticedBy: ['B27', 'S44', 'S45', 'S46'],
    ...brokenServer(() => ({ ping: () => Promise.reject(new Error('no')) })),
  },
]

/** Begins again after the last batch: for so long that it counts as for ever. */
function endless(): <B extends Batch>(batch: B) => B {
  let batches = 0
  return (batch) => {
    batches += 1
    return { ...batch, next: batch.next ?? (batches < 2500 ? '' : undefined) }
  }
}
