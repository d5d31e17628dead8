// The quick start on Node's own driver. Prints its address. node node-sqlite-app.mjs
import { DatabaseSync } from 'node:sqlite'
import fastifyCookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import { SqliteStore } from '@session-stores/sqlite'
import Fastify from 'fastify'

const app = Fastify()
const store = new SqliteStore({ database: new DatabaseSync('sessions.sqlite') })

app.register(fastifyCookie)
app.register(fastifySession, {
  secret: 'a secret with at least 32 characters, from your configuration',
  store,
  saveUninitialized: false,
  cookie: { secure: 'auto', httpOnly: true, sameSite: 'lax', maxAge: 30 * 60_000 },
})
app.addHook('onClose', () => store.close())

app.get('/', async (request) => {
  request.session.visits = (request.session.visits ?? 0) + 1
  return { visits: request.session.visits }
})

app.get('/with-path', async () => new SqliteStore({ path: 'other.sqlite' }))

console.log(await app.listen({ port: 0, host: '127.0.0.1' }))
