export type { SqliteDatabase, SqliteStatement } from './driver.ts'
export { type DatabaseOptions, type FileOptions, SqliteStore, type SqliteStoreOptions } from './store.ts'
