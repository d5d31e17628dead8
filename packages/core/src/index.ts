export type {
  Awaitable,
  Backend,
  Batch,
  Change,
  ChangeAnswer,
  Cutoff,
  Expected,
  Finding,
  KeyedRecord,
  SessionRecord,
  StoredRecord,
  Version,
} from './backend.ts'
export { type Call, TryAgain, type Verb, type Work } from './call.ts'
export {
  checkOptions,
  type OptionRule,
  type OptionRules,
  trueOrFalse,
  withMethods,
  wrongOption,
} from './check-options.ts'
export type {
  AdoptedMessage,
  BackMessage,
  DownMessage,
  Operation,
  OperationContext,
  Outcome,
  StoreIdentity,
  UnopenedMessage,
} from './diagnostics.ts'
export {
  SessionConflict,
  SessionExpiryInvalid,
  SessionLayoutUnknown,
  SessionNotSerializable,
  SessionStoreClosed,
  SessionStoreUnavailable,
  SessionTooLarge,
  SessionUnsupported,
} from './errors.ts'
export type { GuardedBackend } from './guard/guarded-backend.ts'
export type { Limit } from './guard/limit.ts'
export type { SessionInfo } from './load.ts'
export { MemoryStore } from './memory.ts'
export type {
  ConflictResolver,
  OldStore,
  Serializer,
  SessionData,
  StoreOptions,
} from './options.ts'
export { expiryField, recordFromText, recordToText, withExpiry } from './record.ts'
export { storeRules } from './settings.ts'
export { SessionStore } from './store.ts'
export type { UserSession } from './users.ts'
export { newVersion } from './version.ts'
export { changeOne } from './with/batched.ts'
export type { EncryptionKeyInput } from './with/encryption-key.ts'
