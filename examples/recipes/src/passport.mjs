import { Authenticator, Strategy } from '@fastify/passport'
import { logOut, sessions } from '@session-stores/fastify'

/** @param isRight (name, password) => whether they are right, or a promise of that */
export async function addPassport(app, { store, secret, isRight }) {
  class PasswordStrategy extends Strategy {
    async authenticate(request) {
      const { name, password } = request.body
      if (await isRight(name, password)) this.success({ name })
      else this.fail('wrong name or password', 401)
    }
  }
  const passport = new Authenticator()
  passport.use('password', new PasswordStrategy('password'))
  passport.registerUserSerializer(async (user) => user.name) // what the session keeps
  passport.registerUserDeserializer(async (name) => ({ name })) // what request.user is

  // In this order. A refusal by authenticate() is sent without being returned: sessions sees to it that no handler runs then.
  await app.register(sessions, { store, secret })
  await app.register(passport.initialize())
  await app.register(passport.secureSession())

  app.post('/login', { preValidation: passport.authenticate('password') }, async () => 'welcome')
  app.post('/logout', async (request, reply) => {
    await logOut(request, reply) // not request.logOut(), which leaves the rest of the session there
    return 'bye'
  })
  app.get('/me', async ({ user }) => user?.name ?? 'nobody')
}
