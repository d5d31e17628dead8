export type { Awaitable, Backend, SessionRecord, StoredRecord, Version } from './backend.ts'
export type { ConflictResolver, Serializer, SessionData, StoreOptions } from './options.ts'
export { newVersion } from './version.ts'
