// A process that starts: it migrates and saves a session. node migrate-worker.ts <url> <session id>
import pg from 'pg'
import { PostgresStore } from '../src/index.ts'

const [url = '', id = ''] = process.argv.slice(2)
const pool = new pg.Pool({ connectionString: url })
pool.on('error', () => {})
const store = new PostgresStore({ pool, schema: 'of many', table: 'starts' })
await store.migrate()
await store.set(id, { user: id })
await store.close()
await pool.end()
