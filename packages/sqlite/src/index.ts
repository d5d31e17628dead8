export type { SqliteDatabase, SqliteStatement } from './database.ts'
export { type DatabaseOptions, type FileOptions, SqliteStore, type SqliteStoreOptions } from './store.ts'
