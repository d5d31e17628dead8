import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { SessionStore, StoreOptions } from '@session-stores/core'
import type { Feature, OpenStore, Place, Store } from './contestant.ts'

/** One of our packages, as built here or in the other checkout. */
export function packageOf<Module>(name: string, place: Place, here: () => Promise<Module>): Promise<Module> {
  if (place.build === undefined) return here()
  return import(pathToFileURL(join(place.build, 'packages', name, 'dist/index.js')).href)
}

const FEATURES: Record<Feature, StoreOptions> = {
  userOf: { userOf: (session: { user?: string }) => session.user },
  encryptionKeys: { encryptionKeys: ['5e'.repeat(32)] },
}

/** @param make makes the store with these options, and no others that every store has */
export async function openOurs<OurStore extends SessionStore>(
  place: Place,
  make: (options: StoreOptions) => OurStore | Promise<OurStore>,
): Promise<OpenStore & { store: OurStore }> {
  let moved = 0
  const store = await make({
    ...(place.movableClock && { pruneInterval: false, now: () => Date.now() + moved }),
    ...(place.feature && FEATURES[place.feature]),
  })
  return {
    store: store satisfies Store,
    prune: () => store.prune(),
    moveClock: (ms) => {
      moved = ms
    },
  }
}
