import type { OpenOver, OpenStore } from '../../src/conformance/index.ts'
import { type Backend, SessionStore, type StoreOptions } from '../../src/index.ts'
import { byName, newServer, type Server } from './server.ts'

/** A store that is broken on purpose, and the rules that must notice. */
export interface Broken extends Opening {
  what: string
  noticedBy: string[]
}

interface Opening {
  openStore: OpenStore
  openOver?: OpenOver
}

/** The verbs that are broken, over a server that is sound. */
type Break = (server: Server) => Partial<Backend>

/** A bug in the backend. Any state of its own is kept on the server: all stores of one name share it. */
export function brokenServer(breakIt: Break): Opening {
  const backends = byName(() => broken(newServer(), breakIt))
  return { openStore: (name, options) => new SessionStore(backends(name), options) }
}

/** A bug in the backend. Any state of its own is kept in the process: each store has its own. */
export function brokenProcess(breakIt: Break): Opening {
  const servers = byName(newServer)
  return { openStore: (name, options) => new SessionStore(broken(servers(name), breakIt), options) }
}

/** A bug in the store, whatever its backend. */
export function brokenStore(open: OpenOver): Opening {
  const servers = byName(newServer)
  return { openStore: (name, options) => open(servers(name), options), openOver: open }
}

/** A store that gets its options wrong. */
export function wronglySet(change: (options: StoreOptions) => StoreOptions): Opening {
  return brokenStore((backend, options) => new SessionStore(backend, change(options)))
}

function broken(server: Server, breakIt: Break): Backend {
  return { ...server, ...breakIt(server) } as Backend
}

export type Session = Record<string, unknown>
type Get = (id: string, callback: (error: unknown, session?: Session | null) => void) => void
type Set = (id: string, session: Session, callback: (error?: unknown) => void) => void

/** The store with another way to answer `get`. */
export function withGet(store: SessionStore, answer: (get: Get, ...given: Parameters<Get>) => void): SessionStore {
  const get: Get = store.get.bind(store)
  const other = (id: string, callback?: Parameters<Get>[1]) => {
    if (callback) return answer(get, id, callback)
    return new Promise((resolve, reject) => {
      answer(get, id, (error, session) => (error ? reject(error) : resolve(session)))
    })
  }
  return Object.assign(store, { get: other as SessionStore['get'] })
}

/** The store with another way to save. */
export function withSet(store: SessionStore, save: (set: Set, ...given: Parameters<Set>) => void): SessionStore {
  const set: Set = store.set.bind(store)
  const other = (id: string, session: Session, callback?: Parameters<Set>[2]) => {
    if (callback) return save(set, id, session, callback)
    return new Promise<void>((resolve, reject) => {
      save(set, id, session, (error) => (error ? reject(error) : resolve()))
    })
  }
  return Object.assign(store, { set: other as SessionStore['set'] })
}
