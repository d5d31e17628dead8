import type { Change, ChangeAnswer, StoredRecord } from '../../src/index.ts'
import { type Broken, brokenServer } from './open.ts'
import type { Server } from './server.ts'

/** The many-verbs of a server, in their plainest form. */
function many({ read, write, replace, touch, remove }: Server) {
  const change = (each: Change): ChangeAnswer => {
    if (each.verb === 'write') return write(each.key, each.record, each.version) as undefined
    if (each.verb === 'replace') return replace(each.key, each.record, each.version, each.expected)
    return each.verb === 'touch' ? touch(each.key, each.expiresAt, each.expected) : remove(each.key)
  }
  return {
    readMany: async (keys: string[]): Promise<Array<StoredRecord | undefined>> => keys.map(read),
    changeMany: async (changes: Change[]): Promise<ChangeAnswer[]> => changes.map(change),
  }
}

/** What can be wrong with a backend that takes many calls as one command. */
export const brokenBatched: Broken[] = [
  { what: 'none of it: sound many-verbs', noticedBy: [], ...brokenServer(many) },
  {
    what: 'a backend that answers many reads in the wrong order',
    noticedBy: ['B7', 'B39', 'B41', 'B46', 'B47', 'S50'],
    ...brokenServer((server) => ({
      ...many(server),
      readMany: async (keys) => (await many(server).readMany(keys)).reverse(),
    })),
  },
  {
    what: 'a backend that answers many changes in the wrong order',
    noticedBy: ['B19', 'B20', 'B23', 'B39', 'B40', 'B47'],
    ...brokenServer((server) => ({
      ...many(server),
      changeMany: async (changes) => (await many(server).changeMany(changes)).reverse(),
    })),
  },
  {
    what: 'a backend that answers each key once, though it was asked for twice',
    noticedBy: ['B37', 'B40', 'S28', 'S42'],
    ...brokenServer((server) => ({
      ...many(server),
      readMany: (keys) => many(server).readMany([...new Set(keys)]),
    })),
  },
  {
    what: 'a backend whose conflict fails the whole batch',
    noticedBy: ['B39', 'B40'],
    ...brokenServer((server) => ({
      ...many(server),
      changeMany: async (changes) => {
        const answers = await many(server).changeMany(changes)
        return answers.map((answer) => (answers.includes('conflict') && answer === 'replaced' ? 'conflict' : answer))
      },
    })),
  },
  {
    what: 'a backend that loses the second half of a batch',
    noticedBy: ['B7', 'B19', 'B20', 'B23', 'B37', 'B38', 'B39', 'B40', 'B41', 'B47', 'S44', 'S50'],
    ...brokenServer((server) => ({
      ...many(server),
      changeMany: async (changes) => {
        const half = Math.ceil(changes.length / 2)
        const answers = await many(server).changeMany(changes.slice(0, half))
        return [
          ...answers,
          ...changes.slice(half).map(({ verb }) => (verb === 'replace' ? 'replaced' : true)),
        ] as ChangeAnswer[]
      },
    })),
  },
  {
    what: 'a backend that cuts large batches off',
    noticedBy: ['B41'],
    ...brokenServer((server) => ({
      ...many(server),
      changeMany: (changes) =>
        many(server).changeMany(
          changes.map((each) =>
            'record' in each && each.record.data.length > 20_000
              ? { ...each, record: { ...each.record, data: each.record.data.slice(0, 20_000) } }
              : each,
          ),
        ),
    })),
  },
]
