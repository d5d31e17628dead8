export type { MemjsClient } from './memjs.ts'
export { MemcachedStore, type MemcachedStoreOptions } from './store.ts'
