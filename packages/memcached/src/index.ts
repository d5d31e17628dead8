export type { MemjsClient, MemjsServer } from './driver.ts'
export { MemcachedStore, type MemcachedStoreOptions } from './store.ts'
