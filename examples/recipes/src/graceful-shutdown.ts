import { sessions } from '@session-stores/fastify'
import { RedisStore } from '@session-stores/redis'
import Fastify from 'fastify'
import { Redis } from 'ioredis'

const app = Fastify()
const client = new Redis(process.env.REDIS_URL ?? 'redis://localhost:6379')
client.on('error', (error) => app.log.warn(error))

// Registered first, run last: after the requests under way, and after sessions has closed the store.
app.addHook('onClose', () => client.disconnect())
app.register(sessions, {
  store: new RedisStore({ client }),
  secret: process.env.SESSION_SECRET ?? '',
  closeTimeout: 5000,
})

app.get('/', async ({ session }) => {
  session.visits = (session.visits ?? 0) + 1
  return { visits: session.visits }
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => app.close())

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
