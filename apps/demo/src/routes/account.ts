import { logIn, logOut } from '@session-stores/fastify'
import type { FastifyInstance } from 'fastify'
import type { Users } from '../users.ts'
import { field, requireNobody, show } from '../visitor.ts'

export interface AccountOptions {
  users: Users
  /** How many tries one address has in a minute. */
  attempts: number
}

/** Sign up, log in, log out. */
export async function accountRoutes(app: FastifyInstance, { users, attempts }: AccountOptions): Promise<void> {
  const limited = { config: { rateLimit: { max: attempts, timeWindow: '1 minute' } } }

  app.get('/signup', { preHandler: requireNobody }, (request, reply) => show(request, reply, 'signup', { name: '' }))

  app.post('/signup', limited, async (request, reply) => {
    const name = field(request, 'name').trim()
    const password = field(request, 'password')
    const refuse = (status: number, problem: string) => show(request, reply.code(status), 'signup', { name, problem })

    if (!/^[\p{L}\p{M}\p{N}._-]{2,32}$/u.test(name)) {
      return refuse(400, 'A name has 2 to 32 letters, digits, dots, dashes or underscores.')
    }
    // Long is what counts (NIST SP 800-63B); an upper limit keeps the hashing cheap.
    if (password.length < 8 || password.length > 128) return refuse(400, 'A password has 8 to 128 characters.')
    const user = await users.create(name, password)
    if (!user) return refuse(409, 'Somebody else has this name.')

    await logIn(request, { userId: user.id, loggedInAt: Date.now() })
    return reply.redirect('/profile', 303)
  })

  app.get('/login', { preHandler: requireNobody }, (request, reply) => show(request, reply, 'login', { name: '' }))

  app.post('/login', limited, async (request, reply) => {
    const name = field(request, 'name').trim()
    const user = await users.logIn(name, field(request, 'password').slice(0, 128))
    // The same words whether the name or the password was wrong
    if (!user) return show(request, reply.code(401), 'login', { name, problem: 'Wrong name or password.' })

    await logIn(request, { userId: user.id, loggedInAt: Date.now() })
    return reply.redirect('/profile', 303)
  })

  // A POST: a link or an image on another site must not log anybody out
  app.post('/logout', async (request, reply) => {
    await logOut(request, reply)
    return reply.redirect('/', 303)
  })
}
