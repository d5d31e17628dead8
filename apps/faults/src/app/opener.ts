import type { SessionStore, StoreOptions } from '@session-stores/core'

/** What a module in `openers` exports: how an application opens its store, as the package's README shows it. */
export interface Opener<Settings> {
  /** @param log for what a driver reports apart from any request */
  open(settings: Settings, options: StoreOptions, log: (error: Error) => void): Promise<OpenedStore>
}

export interface OpenedStore {
  store: Pick<SessionStore, 'get' | 'set' | 'destroy' | 'close'>
  /** Closes the client that the store was given. */
  close(): unknown
}
