import { randomBytes } from 'node:crypto'
import type { Backend } from '../backend.ts'
import type { StoreOptions } from '../options.ts'
import { SessionStore } from '../store.ts'
import { Records } from './records.ts'

/** What a backend can do beyond the five required verbs; found by looking whether the method is there. */
export type Ability = 'ping' | 'insert' | 'prune' | 'count' | 'scan' | 'clear' | 'findByUser' | 'removeOfUser' | 'check'

const abilities: readonly Ability[] = [
  'ping',
  'insert',
  'prune',
  'count',
  'scan',
  'clear',
  'findByUser',
  'removeOfUser',
  'check',
]

/** The abilities of a store's backend. A store's own test states the ones it expects, so that losing one fails. */
export function abilitiesOf(store: SessionStore): Ability[] {
  return abilities.filter((ability) => typeof store.backend[ability] === 'function')
}

/**
 * Opens a store on the data of this name, with these options added to the ones your server needs. No other case uses the
 * name, and its data is empty at first. It will do as a prefix, a table or a file: a letter, then letters and digits, 20 in
 * all. A second call with the same name opens another store on the same data, as another process would: the two have
 * nothing in common but the server. The case closes the stores; whoever wrote this function disposes of the data.
 */
export type OpenStore = (name: string, options: StoreOptions) => SessionStore | Promise<SessionStore>

/**
 * Opens a store of the same class over a given backend. Only needed where that class overrides methods of `SessionStore`:
 * the cases that put a server in trouble use `SessionStore` itself otherwise.
 */
export type OpenOver = (backend: Backend, options: StoreOptions) => SessionStore

/** One promise of the contract, as something to run. */
export interface Case {
  /** What is promised, as a sentence. */
  name: string
  /** The number of the rule in docs/contract.md. */
  rule: string
  /** The abilities without which the case does not apply. */
  needs: readonly Ability[]
  /** Rejects with an AssertionError when the promise is broken. */
  run(openStore: OpenStore, openOver?: OpenOver): Promise<void>
}

/** What a case has at hand. */
export interface Scene {
  /** The store under test. */
  store: SessionStore
  /** Another store on the same data, as another process would have it. */
  other: SessionStore
  /** Opens one more store: with other options, or on the data of another name. */
  open(change?: { options?: StoreOptions; name?: string }): Promise<SessionStore>
  /** Opens a store over the backend of `store`, with a layer in between. */
  openOver(layer: (backend: Backend) => Backend, options?: StoreOptions): SessionStore
  /** The records of `store`. */
  records: Records
  /** The clock of all stores. It starts at the real time. */
  clock: Clock
}

/** A clock that goes on only when told to. Never set back: servers have clocks of their own. */
export class Clock {
  ms = Date.now()

  now = (): number => this.ms

  advance(ms: number): void {
    this.ms += ms
  }
}

/** Writes down a case. `act` gets stores on data of its own, with the given options. */
export function defineCase(
  rule: string,
  name: string,
  act: (scene: Scene) => Promise<void>,
  { needs = [], options = {} }: { needs?: Ability[]; options?: StoreOptions } = {},
): Case {
  return {
    rule,
    name,
    needs,
    async run(openStore, openOver = (backend, all) => new SessionStore(backend, all)) {
      const clock = new Clock()
      const all: StoreOptions = { pruneInterval: false, now: clock.now, ...options }
      const dataName = newName()
      const opened: SessionStore[] = []
      const open: Scene['open'] = async ({ options: own = {}, name: ownName = dataName } = {}) => {
        const store = await openStore(ownName, { ...all, ...own })
        opened.unshift(store)
        return store
      }
      try {
        const [store, other] = [await open(), await open()]
        const over: Scene['openOver'] = (layer, own = {}) => {
          const layered = openOver(layer(store.backend), { ...all, ...own })
          opened.unshift(layered)
          return layered
        }
        await act({ store, other, open, openOver: over, records: new Records(store), clock })
      } finally {
        for (const store of opened) await store.close()
      }
    },
  }
}

/** A name for data that no other case has, in this run or another. */
export function newName(): string {
  return `c${randomBytes(10).toString('hex').slice(0, 19)}`
}
