import {
  aFunction,
  checkOptions,
  type OptionRules,
  orFalse,
  trueOrFalse,
  wholeNumber,
  withMethods,
} from './check-options.ts'
import type { ConflictResolver, OldStore, Serializer, StoreOptions } from './options.ts'
import { type EncryptionKey, encryptionKeysFrom } from './with/encryption-key.ts'

/** `StoreOptions` with the defaults filled in. */
export interface Settings {
  ttl: number
  absoluteTimeout: number
  touchInterval: number | undefined
  maxBytes: number
  timeout: number
  pruneInterval: number | false
  onConflict: 'merge' | 'overwrite' | ConflictResolver
  serializer: Serializer | undefined
  userOf: ((session: object) => string | number | null | undefined) | undefined
  maxPerUser: number | undefined
  encryptionKeys: EncryptionKey[] | undefined
  acceptPlaintext: boolean
  adopt: OldStore | undefined
  keepOld: boolean
  name: string | undefined
  now: () => number
}

/** The longest delay a Node timer takes. */
const MAX_DELAY = 2 ** 31 - 1
/** What a timeout may be, in ms. */
export const TIMEOUT = wholeNumber(1, MAX_DELAY)

/** The options that every store has. */
export const storeRules: OptionRules = {
  ttl: wholeNumber(1),
  absoluteTimeout: orFalse(wholeNumber(1)),
  touchInterval: wholeNumber(0),
  maxBytes: wholeNumber(1, undefined, 'bytes'),
  timeout: TIMEOUT,
  pruneInterval: orFalse(wholeNumber(1, MAX_DELAY)),
  onConflict: {
    wants: "'merge', 'overwrite' or a function (base, theirs, ours) => session",
    isRight: (value) => value === 'merge' || value === 'overwrite' || typeof value === 'function',
  },
  serializer: withMethods('an object with the functions stringify and parse', 'stringify', 'parse'),
  userOf: aFunction('(session) => user id'),
  maxPerUser: wholeNumber(1, undefined, 'sessions'),
  encryptionKeys: { wants: '', isRight: (value) => encryptionKeysFrom(value) !== undefined }, // throws by itself
  acceptPlaintext: trueOrFalse,
  adopt: withMethods('a store with the methods get(id, callback) and destroy(id, callback)', 'get', 'destroy'),
  keepOld: trueOrFalse,
  name: { wants: 'a string', isRight: (value) => typeof value === 'string' },
  now: {
    wants: 'a function that answers ms since the epoch',
    isRight: (value) => typeof value === 'function' && Number.isFinite(value()),
  },
}

/**
 * Checks the options and fills in the defaults. The caller's object is left alone.
 * @throws TypeError naming the option, what it wants and what it got.
 */
export function settingsFrom(options: StoreOptions = {}): Settings {
  checkOptions(options, storeRules)
  const { absoluteTimeout, now, encryptionKeys, ...given } = options
  const settings: Settings = {
    ttl: given.ttl ?? 86_400_000,
    absoluteTimeout: absoluteTimeout || Number.POSITIVE_INFINITY,
    touchInterval: given.touchInterval,
    maxBytes: given.maxBytes ?? 65_536,
    timeout: given.timeout ?? 2000,
    pruneInterval: given.pruneInterval ?? 300_000,
    onConflict: given.onConflict ?? 'merge',
    serializer: given.serializer,
    userOf: given.userOf,
    maxPerUser: given.maxPerUser,
    encryptionKeys: encryptionKeysFrom(encryptionKeys),
    acceptPlaintext: given.acceptPlaintext ?? false,
    adopt: given.adopt,
    keepOld: given.keepOld ?? false,
    name: given.name,
    // Looked up at each use, so that a fake clock holds that tests install later; and whole ms, whatever a clock answers.
    now: now ? () => Math.floor(now()) : () => Date.now(),
  }
  if (settings.maxPerUser !== undefined && !settings.userOf) {
    throw new TypeError('maxPerUser needs userOf, which says whose a session is')
  }
  if (settings.keepOld && !settings.adopt) throw new TypeError('keepOld needs adopt, the store that keeps the sessions')
  if (settings.acceptPlaintext && !settings.encryptionKeys) {
    throw new TypeError('acceptPlaintext needs encryptionKeys: without them everything is plain text')
  }
  return settings
}
