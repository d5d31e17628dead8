import { sessions } from '@session-stores/fastify'
import { RedisStore } from '@session-stores/redis'
import type { FastifyInstance } from 'fastify'
import type { Redis } from 'ioredis'

/** A shop and the desk of its staff, in one application on one Redis: a cookie, a prefix and rules for each. */
export function addParts(app: FastifyInstance, client: Redis, secrets: { shop: string; staff: string }): void {
  app.register(
    async (shop) => {
      const store = new RedisStore({ client, prefix: 'shop:', name: 'shop' })
      shop.register(sessions, { store, secret: secrets.shop, cookieName: 'shop' })
      shop.get('/', async ({ session }) => `the shop knows ${session.user ?? 'nobody'}`)
      shop.post('/login', async ({ session }) => {
        session.user = 'ada'
        return 'ok'
      })
    },
    { prefix: '/shop' },
  )
  app.register(
    async (staff) => {
      const store = new RedisStore({ client, prefix: 'staff:', name: 'staff' })
      const strict = { path: '/staff', sameSite: 'strict' } as const
      staff.register(sessions, {
        store,
        secret: secrets.staff,
        cookieName: 'staff',
        cookie: strict,
        idleTimeout: 300_000,
      })
      staff.get('/', async ({ session }) => `the staff knows ${session.user ?? 'nobody'}`)
    },
    { prefix: '/staff' },
  )
}
