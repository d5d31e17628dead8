// One of several processes that prune at once. node prune-worker.ts <url> <table>, then a message to begin.

import { subscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import pg from 'pg'
import { PostgresStore } from '../src/index.ts'

const [url = '', table = ''] = process.argv.slice(2)
const pool = new pg.Pool({ connectionString: url, max: 2 })
pool.on('error', () => {})
const store = new PostgresStore({ pool, table, pruneInterval: false })
await store.get('nobody')
let published: number | undefined
subscribe('tracing:session-stores.prune:asyncEnd', (message) => {
  published = (message as { removed?: number }).removed
})
process.send?.('ready')
await once(process, 'message')
const returned = await store.prune()
process.send?.({ returned, published })
await store.close()
await pool.end()
process.disconnect()
