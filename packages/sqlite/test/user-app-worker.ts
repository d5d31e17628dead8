// Serves the application with sessions by user from a file, and prints its address. node user-app-worker.ts <file>
import { buildUserApp, userOptions } from '@session-stores/testing'
import { SqliteStore } from '../src/index.ts'

const [path = ''] = process.argv.slice(2)
const app = buildUserApp(new SqliteStore({ path, ...userOptions }))
console.log(await app.listen({ host: '127.0.0.1', port: 0 }))
