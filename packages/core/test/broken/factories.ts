import { SessionStore } from '../../src/index.ts'
import type { Broken } from './open.ts'
import { byName, newServer } from './server.ts'

const servers = byName(newServer)
const stores = new Map<string, SessionStore>()
const shared = newServer()

/** What can be wrong with the function that opens the stores. */
export const brokenFactories: Broken[] = [
  {
    what: 'a function that hands out one store twice',
    noticedBy: ['B0', 'S54', 'S58', 'S59'],
    openStore: (name, options) => {
      const store = stores.get(name) ?? new SessionStore(servers(name), options)
      stores.set(name, store)
      return store
    },
  },
  {
    what: 'a function that ignores the name',
    noticedBy: ['B0', 'B22', 'B25', 'B33', 'B34', 'B40', 'B42', 'B44', 'B45', 'B46', 'S39', 'S52', 'S54'],
    openStore: (_, options) => new SessionStore(shared, options),
  },
  {
    what: 'a function that gives each store data of its own',
    noticedBy: [
      'B0',
      'B26',
      'S12',
      'S13',
      'S14',
      'S15',
      'S21',
      'S22',
      'S25',
      'S26',
      'S27',
      'S29',
      'S30',
      'S38',
      'S40',
      'S41',
      'S49',
      'S50',
      'S51',
      'S52',
      'S54',
      'S55',
      'S57',
      'S58',
      'S59',
    ],
    openStore: (_, options) => new SessionStore(newServer(), options),
  },
  {
    what: 'a function that opens two stores over one connection',
    noticedBy: ['B0'],
    openStore: (name, options) => new SessionStore(connections(name), options),
  },
]

/** A backend for each name that works until the first store on it is closed. */
const connections = byName(() => {
  const server = newServer()
  let isClosed = false
  return {
    ...server,
    read: (key: string) => {
      if (isClosed) throw new Error('the connection is closed')
      return server.read(key)
    },
    close: () => {
      isClosed = true
    },
  }
})
