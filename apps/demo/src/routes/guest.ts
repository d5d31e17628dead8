import { logIn } from '@session-stores/fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { forgetGuest } from '../forms.ts'
import { limitTries } from '../limits.ts'
import { nameFrom } from '../names.ts'
import type { User, Users } from '../users.ts'
import { field, passwordProblem, requireNobody, sessionFieldsOf, show } from '../visitor.ts'

export interface GuestOptions {
  users: Users
  /** How many tries one address has in a minute, and one account. */
  attempts: number
  https: boolean
}

/** Sign up and log in. */
export async function guestRoutes(app: FastifyInstance, { users, attempts, https }: GuestOptions): Promise<void> {
  const forGuests = (request: FastifyRequest, reply: FastifyReply, page: string, data: object) =>
    show(request, reply, page, { ...data, user: null })

  const account = (request: FastifyRequest) => field(request, 'name')

  const begin = async (request: FastifyRequest, reply: FastifyReply, user: User) => {
    await logIn(request, sessionFieldsOf(request, user))
    forgetGuest(reply, https)
    return reply.redirect('/profile', 303)
  }

  app.get('/signup', { preHandler: requireNobody }, (request, reply) =>
    forGuests(request, reply, 'signup', { name: '' }),
  )

  app.post('/signup', { preHandler: limitTries(app, { attempts }) }, async (request, reply) => {
    const written = field(request, 'name')
    const password = field(request, 'password')
    const refuse = (status: number, problem: string) =>
      forGuests(request, reply.code(status), 'signup', { name: written, problem })

    const name = nameFrom(written)
    if (name === undefined) {
      return refuse(400, 'A name has 2 to 32 letters, digits, dots, dashes or underscores, all of which can be seen.')
    }
    const problem = passwordProblem(password)
    if (problem) return refuse(400, problem)
    const user = await users.create(name, password)
    if (!user) return refuse(409, 'Somebody else has this name.')
    return begin(request, reply, user)
  })

  app.get('/login', { preHandler: requireNobody }, (request, reply) => forGuests(request, reply, 'login', { name: '' }))

  app.post('/login', { preHandler: limitTries(app, { attempts, account }) }, async (request, reply) => {
    const name = field(request, 'name')
    const user = await users.logIn(name, field(request, 'password').slice(0, 128))
    // The same words whether the name or the password was wrong
    if (!user) return forGuests(request, reply.code(401), 'login', { name, problem: 'Wrong name or password.' })
    return begin(request, reply, user)
  })
}
