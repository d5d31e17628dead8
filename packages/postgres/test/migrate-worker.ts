// One of several processes that migrate at once and save a session. node migrate-worker.ts <url> <session id>, then a
// message to begin.
import { once } from 'node:events'
import pg from 'pg'
import { PostgresStore } from '../src/index.ts'

const [url = '', id = ''] = process.argv.slice(2)
const pool = new pg.Pool({ connectionString: url })
pool.on('error', () => {})
const store = new PostgresStore({ pool, schema: 'of many', table: 'starts' })
await pool.query('select 1') // connected: what is left to do takes less time than a process takes to start
process.send?.('ready')
await once(process, 'message')
await store.migrate()
await store.set(id, { user: id })
await store.close()
await pool.end()
process.disconnect()
