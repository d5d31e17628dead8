export type { BetterSqlite3Database, NodeSqliteDatabase, SqliteDatabase } from './driver.ts'
export { type DatabaseOptions, type FileOptions, SqliteStore, type SqliteStoreOptions } from './store.ts'
