import fastifyCookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { AbsoluteTimeout } from './absolute-timeout.ts'
import { checkCookie, hasStoredSession, readCookie, renameCookie } from './cookie.ts'
import { drainBeforeClose } from './drain.ts'
import { type SessionsOptions, settingsFrom } from './options.ts'
import { ReplyGuard } from './reply-guard.ts'
import { keepSettings } from './settings.ts'
import { warnAtStart } from './warnings.ts'

/**
 * Sessions for a Fastify application: registers `@fastify/session`, and `@fastify/cookie` where it is not there yet, with
 * settings that are safe.
 *
 * @throws TypeError that names the wrong option
 */
export const sessions: FastifyPluginAsync<SessionsOptions> = fp(registerSessions, {
  fastify: '5.x',
  name: '@session-stores/fastify',
})

async function registerSessions(app: FastifyInstance, options: SessionsOptions): Promise<void> {
  if (app.hasRequestDecorator('session')) {
    throw new TypeError('request.session is there already: @session-stores/fastify registers @fastify/session itself')
  }
  const settings = settingsFrom(options)
  const { store, names, cookie, absoluteTimeout } = settings
  const guard = new ReplyGuard(store)
  const timeout = absoluteTimeout === false ? undefined : new AbsoluteTimeout(absoluteTimeout, settings)

  keepSettings(app, { ...settings, timeout, onStoreError: (error) => guard.note(error) })
  warnAtStart(app, settings)
  drainBeforeClose(app, settings.closeTimeout)
  if (!app.hasReplyDecorator('setCookie')) await app.register(fastifyCookie)
  checkCookie(app, settings)

  app.addHook('onRequest', (request, _reply, done) => {
    readCookie(request, settings)
    done()
  })
  app.addHook('onSend', (request, reply, _payload, done) => {
    timeout?.save(request)
    guard.expectSave(request, reply)
    done()
  })

  await app.register(fastifySession, {
    store: guard.store,
    secret: settings.signer,
    cookieName: names.https,
    cookie: { ...cookie },
    cookiePrefix: settings.cookiePrefix,
    rolling: settings.rolling,
    saveUninitialized: settings.saveUninitialized,
    ...(settings.idGenerator && { idGenerator: settings.idGenerator }),
  })

  if (timeout) app.addHook('onRequest', (request, _reply, done) => timeout.load(request, done))
  app.addHook('onSend', (request, reply, _payload, done) => {
    const setsCookie = renameCookie(request, reply, settings)
    // A page with a session is for one person, not for caches (OWASP Session Management Cheat Sheet, "Web Content Caching")
    if (!reply.hasHeader('cache-control') && (setsCookie || hasStoredSession(request, settings))) {
      reply.header('cache-control', 'no-store')
    }
    done()
  })
  app.addHook('onError', (request, _reply, error, done) => {
    guard.handleError(request, error)
    done()
  })

  if (settings.closeStore) {
    app.addHook('onClose', async () => {
      await (store as { close?: () => unknown }).close?.()
    })
  }
}
