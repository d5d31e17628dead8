export type { RedisClient, RedisCluster, RedisConnection } from './client.ts'
export { RedisStore, type RedisStoreOptions } from './store.ts'
