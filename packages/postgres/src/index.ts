export type { PostgresClient, PostgresPool, PostgresQuery, PostgresResult } from './driver.ts'
export { SessionDriverUnsupported, SessionSchemaMismatch } from './errors.ts'
export { type Migration, migrations, type SchemaOptions } from './migrations.ts'
export { PostgresStore, type PostgresStoreOptions } from './store.ts'
