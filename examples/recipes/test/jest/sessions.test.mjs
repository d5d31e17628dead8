import { MemoryStore } from '@session-stores/core'
import { logIn, sessions } from '@session-stores/fastify'
import Fastify from 'fastify'

test('a log-in is remembered', async () => {
  const app = Fastify()
  app.register(sessions, { store: new MemoryStore(), secret: 'a secret of the tests, of 32 characters or more' })
  app.post('/login', async (request) => {
    await logIn(request, { user: 'ada' })
    return 'ok'
  })
  app.get('/me', async ({ session }) => session.user ?? 'nobody')
  const { cookies } = await app.inject({ method: 'POST', url: '/login' })
  const [{ name, value }] = cookies
  expect((await app.inject({ url: '/me', cookies: { [name]: value } })).body).toBe('ada')
  await app.close()
})
