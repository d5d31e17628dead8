export type { RedisClient } from './driver.ts'
export { RedisStore, type RedisStoreOptions } from './store.ts'
