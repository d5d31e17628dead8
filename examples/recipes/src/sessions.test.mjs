import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { sign } from '@fastify/cookie'
import { MemoryStore } from '@session-stores/core'
import { logIn, sessions } from '@session-stores/fastify'
import Fastify from 'fastify'

const secret = 'a secret of the tests, of 32 characters or more'

function buildApp({ store }) {
  const app = Fastify()
  app.register(sessions, { store, secret, idleTimeout: 60_000 })
  app.post('/login', async (request) => {
    await logIn(request, { user: 'ada' })
    return 'ok'
  })
  app.get('/me', async ({ session }) => session.user ?? 'nobody')
  return app
}

test('a session ends when it was idle for a minute', async () => {
  // Only the date: timers go on, or nothing would be answered.
  mock.timers.enable({ apis: ['Date'], now: Date.now() })
  const app = buildApp({ store: new MemoryStore() })
  const { cookies } = await app.inject({ method: 'POST', url: '/login' })
  const [{ name, value }] = cookies
  const me = async () => (await app.inject({ url: '/me', cookies: { [name]: value } })).body

  mock.timers.tick(59_999)
  assert.equal(await me(), 'ada')
  mock.timers.tick(60_000)
  assert.equal(await me(), 'nobody')

  await app.close()
  mock.timers.reset()
})

test('what a page shows to somebody who is logged in', async () => {
  const store = new MemoryStore()
  const app = buildApp({ store })
  // Put there by hand, and signed as the application would.
  await store.set('an-id', { user: 'grace', cookie: { originalMaxAge: 60_000 } })
  const { body } = await app.inject({ url: '/me', cookies: { session: sign('an-id', secret) } })
  assert.equal(body, 'grace')
  await app.close()
})
