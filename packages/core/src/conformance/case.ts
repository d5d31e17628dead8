import type { StoreOptions } from '../options.ts'
import { SessionStore } from '../store.ts'

/** What a backend can do beyond the five verbs; found by looking whether the method is there. */
export type Ability = 'ping' | 'prune' | 'count' | 'scan' | 'clear'

const abilities: readonly Ability[] = ['ping', 'prune', 'count', 'scan', 'clear']

/** The abilities of a store's backend. A store's own test states the ones it expects, so that losing one fails. */
export function abilitiesOf(store: SessionStore): Ability[] {
  return abilities.filter((ability) => typeof store.backend[ability] === 'function')
}

/**
 * Makes a store on fresh, empty data, with these options added to the ones your server needs. It is called once a case;
 * the case closes the store, and whoever wrote this function disposes of the data.
 */
export type MakeStore = (options: StoreOptions) => SessionStore | Promise<SessionStore>

/** One promise of the contract, as something to run. */
export interface Case {
  /** What is promised, as a sentence. */
  name: string
  /** The number of the rule in docs/contract.md. */
  rule: string
  /** The abilities without which the case does not apply. */
  needs: readonly Ability[]
  /** Rejects with an AssertionError when the promise is broken. */
  run(makeStore: MakeStore): Promise<void>
}

/** What a case has at hand. */
export interface Scene {
  /** The store under test. */
  store: SessionStore
  /** Another store over the same records, as another process would have it. */
  other: SessionStore
  /** The clock of both stores. It starts at the real time. */
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

/** Writes down a case. `act` gets a store of its own, with the given options. */
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
    async run(makeStore) {
      const clock = new Clock()
      const all: StoreOptions = {
        pruneInterval: false,
        now: clock.now,
        ...options,
      }
      const store = await makeStore(all)
      try {
        await act({
          store,
          other: new SessionStore(store.backend, all),
          clock,
        })
      } finally {
        await store.close()
      }
    },
  }
}
