import { Authenticator, Strategy } from '@fastify/passport'
import fastifyFormbody from '@fastify/formbody'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { expect, test } from 'vitest'
import { describeOnStores, Site } from './setup.ts'

/** Knows one user, and takes a moment. */
class PasswordStrategy extends Strategy {
  override authenticate(request: FastifyRequest): void {
    const { name, password } = request.body as Record<string, string>
    setImmediate(() => {
      if (password === 'right') this.success({ name })
      else this.fail('wrong password', 401)
    })
  }
}

describeOnStores('@fastify/passport', (makeStore) => {
  test('x', async () => {
    await using site = await Site.open({ store: makeStore() }, passportRoutes)
    const browser = site.browser()
    await browser.post('/visit')
    const answer = await browser.post('/login', { name: 'ada', password: 'wrong' })
    expect([answer.status, answer.body]).toEqual([401, 'Unauthorized'])
    console.log(answer.cookies, answer.headers.get('cache-control'))
  })
})

function passportRoutes(app: FastifyInstance) {
  const passport = new Authenticator()
  passport.use('password', new PasswordStrategy('password'))
  passport.registerUserSerializer(async (user: { name: string }) => user.name)
  passport.registerUserDeserializer(async (name: string) => ({ name }))
  app.register(fastifyFormbody)
  app.register(passport.initialize())
  app.register(passport.secureSession())
  app.post('/visit', async (request) => {
    request.session.set('visited' as never, true as never)
    return 'ok'
  })
  app.post('/login', { preValidation: passport.authenticate('password', { failureMessage: true }) }, async () => { console.log('HANDLER'); return 'logged in' })
}
