// The sample for @fastify/secure-session in docs/migrating.md.
import { randomBytes } from 'node:crypto'
import fastifySecureSession from '@fastify/secure-session'
import { MemoryStore } from '@session-stores/core'
import { logOut } from '@session-stores/fastify'
import Fastify, { type FastifyInstance } from 'fastify'
import { expect, onTestFinished, test } from 'vitest'
import { SECRET, Visitor } from './visitor.ts'

const key = randomBytes(32)
const https = { 'x-forwarded-proto': 'https' }

test('who was logged in with @fastify/secure-session stays so, with the cart, and a log-out ends it', async () => {
  const before = open()
  before.register(fastifySecureSession, { key, cookie: { path: '/' } })
  before.post<{ Body: { user: string } }>('/login', async ({ session, body }) => {
    const secure = session as unknown as { set(key: string, value: unknown): void }
    secure.set('user', body.user)
    secure.set('cart', ['tea'])
    return 'ok'
  })
  const users = await Promise.all(
    Array.from({ length: 20 }, async (_, n) => {
      const user = new Visitor(before)
      await user.post('/login', { user: `user-${n}` })
      return user
    }),
  )

  const { addSessions } = await import('../src/from-secure-session.mjs' as string)
  const after = open()
  const store = new MemoryStore()
  addSessions(after, { store, secret: SECRET, key })
  after.get('/me', async ({ session }) => session)
  after.post('/logout', async (request, reply) => {
    await logOut(request, reply)
    return 'ok'
  })
  for (const [n, { cookies }] of users.entries()) {
    const user = new Visitor(after, cookies, https)
    for (let visit = 0; visit < 2; visit += 1) {
      expect((await user.get('/me')).json()).toMatchObject({ user: `user-${n}`, cart: ['tea'] })
      expect(Object.keys(user.cookies)).toEqual(['__Host-session'])
    }
    const stolen = user.copy()
    await user.post('/logout')
    for (const each of [user, stolen]) expect((await each.get('/me')).json()).not.toHaveProperty('user')
  }
  expect(await store.count()).toBe(0)

  const nobody = new Visitor(after, { session: 'forged' }, https)
  expect((await nobody.get('/me')).json()).not.toHaveProperty('user')
})

function open(): FastifyInstance {
  const app = Fastify({ trustProxy: true })
  onTestFinished(() => app.close())
  return app
}
