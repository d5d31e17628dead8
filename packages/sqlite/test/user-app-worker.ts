// Serves the application with sessions by user from a file, and prints its address. node user-app-worker.ts <file>
import { SqliteStore } from '../src/index.ts'
import { buildUserApp } from './user-app.ts'

const [path = ''] = process.argv.slice(2)
const app = buildUserApp(new SqliteStore({ path, userOf: (session) => session.user }))
console.log(await app.listen({ host: '127.0.0.1', port: 0 }))
