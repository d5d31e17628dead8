import { fileURLToPath } from 'node:url'
import fastifyFormbody from '@fastify/formbody'
import fastifyHelmet from '@fastify/helmet'
import fastifyRateLimit from '@fastify/rate-limit'
import fastifyStatic from '@fastify/static'
import fastifyView from '@fastify/view'
import { Eta } from 'eta'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { Activity } from './activity.ts'
import { showErrors } from './errors.ts'
import { checkForms, checkGuestForms } from './forms.ts'
import { withoutPorts } from './limits.ts'
import { accountRoutes } from './routes/account.ts'
import { devicesRoutes } from './routes/devices.ts'
import { guestRoutes } from './routes/guest.ts'
import { homeRoutes } from './routes/home.ts'
import { outageRoutes } from './routes/outage.ts'
import { profileRoutes } from './routes/profile.ts'
import { sourceRoutes } from './routes/source.ts'
import { trialsRoutes } from './routes/trials.ts'
import { watchRoutes } from './routes/watch.ts'
import { cookieName, useSessions } from './session.ts'
import { Source } from './source.ts'
import { type OpenedStore, storeNames } from './stores/index.ts'
import type { Users } from './users.ts'
import { findUser } from './visitor.ts'

export interface AppOptions {
  users: Users
  /** Signs the session cookie: 32 characters or more. */
  secret: string
  /** ms without a request after which a session ends */
  idleTimeout: number
  /** ms after log-in at which a session ends */
  absoluteTimeout: number
  /** The addresses of the proxies in front that terminate https, or `loopback`. `false`: none, and plain http is served. */
  trustProxy: string | false
  /** How many log-ins, and as many sign-ups, one address may try in a minute; one account has as many log-ins. */
  attemptsPerMinute?: number
  /** ms within which a request must have come in whole */
  requestTimeout?: number
  /** ms after which the outage page brings the server back in any case */
  longestOutage?: number
  /** How a save that is to be slow waits. */
  pause?: (ms: number) => Promise<unknown>
  logger?: FastifyServerOptions['logger']
}

/** Builds the application around a store, which it closes when it closes itself. */
export function buildApp(sessions: OpenedStore, options: AppOptions): FastifyInstance {
  const { store, where, server } = sessions
  const canList = store.backend.findByUser !== undefined // Memcached cannot
  const https = options.trustProxy !== false
  const { users, attemptsPerMinute: attempts = 10, requestTimeout = 20_000 } = options
  const storeName = store.backend.name
  const source = new Source()
  const app = Fastify({
    logger: options.logger ?? false,
    trustProxy: options.trustProxy,
    bodyLimit: 16 * 1024,
    // Fastify's default is to wait for a slow body for ever. Node takes the longer of the two for the whole request,
    // whichever it is, so its default of a minute for the headers must go too.
    requestTimeout,
    http: { headersTimeout: requestTimeout, connectionsCheckingInterval: requestTimeout / 4 },
    forceCloseConnections: true, // a browser keeps connections open that no request uses
  })

  app.addHook('onRequest', async ({ headers }) => {
    const forwardedFor = headers['x-forwarded-for']
    if (https && typeof forwardedFor === 'string') headers['x-forwarded-for'] = withoutPorts(forwardedFor)
  })

  app.register(fastifyHelmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        'default-src': ["'none'"],
        'script-src': ["'self'"],
        'style-src': ["'self'"],
        'img-src': ["'self'"],
        'connect-src': ["'self'"],
        'form-action': ["'self'"],
        'base-uri': ["'none'"],
        'frame-ancestors': ["'none'"],
      },
    },
    strictTransportSecurity: https, // on plain http it would lock browsers out of localhost
  })
  app.register(fastifyView, {
    engine: { eta: new Eta() },
    root: folder('views'),
    viewExt: 'eta',
    production: true,
    defaultContext: { storeName, where, storeNames, code: source.code, rule: source.rule },
  })
  showErrors(app)

  // Outside the scope below: a style sheet needs no session, so it reads none.
  app.register(fastifyStatic, { root: folder('public'), prefix: '/static/', maxAge: 60_000 })

  app.register(fastifyFormbody)
  app.register(sourceRoutes, { source })
  // Without a session: it is to answer when none can be read
  app.register(outageRoutes, { store, server, longestOutage: options.longestOutage ?? 15_000 })

  app.register(async (pages) => {
    const { secret, idleTimeout, absoluteTimeout } = options
    useSessions(pages, { store, secret, idleTimeout, absoluteTimeout, https })
    pages.register(fastifyRateLimit, { global: false }) // counts in this process; for several give it a Redis client
    findUser(pages, users)

    const activity = new Activity()
    pages.addHook('onReady', async () => activity.start())
    pages.addHook('onClose', async () => activity.stop())

    pages.register(async (guests) => {
      checkGuestForms(guests, https)
      guests.register(guestRoutes, { users, attempts, https })
    })
    pages.register(async (members) => {
      checkForms(members)
      members.register(homeRoutes)
      members.register(accountRoutes)
      members.register(devicesRoutes, { users, attempts, canList })
      members.register(trialsRoutes, { store, canList, trialsPerMinute: 30 })
      members.register(watchRoutes, { activity, sessions })
      members.register(profileRoutes, {
        activity,
        absoluteTimeout,
        idleTimeout,
        cookieName: cookieName(https),
        pause: options.pause,
      })
    })
  })
  return app
}

/** A folder beside src. */
function folder(name: string): string {
  return fileURLToPath(new URL(`../${name}`, import.meta.url))
}
