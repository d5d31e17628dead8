export type { Awaitable, Backend, SessionRecord, StoredRecord, Version } from './backend.ts'
export type { OperationMessage, Outcome } from './diagnostics.ts'
export {
  SessionConflict,
  SessionExpiryInvalid,
  SessionNotSerializable,
  SessionStoreClosed,
  SessionStoreUnavailable,
  SessionTooLarge,
  SessionUnsupported,
} from './errors.ts'
export { MemoryStore } from './memory.ts'
export {
  type ConflictResolver,
  DEFAULT_TIMEOUT,
  type Serializer,
  type SessionData,
  type StoreOptions,
} from './options.ts'
export { type SessionInfo, SessionStore } from './store.ts'
export { newVersion } from './version.ts'
