import fastifySession from '@fastify/session'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Settings } from './options.ts'

/** As `@fastify/session` asks of a secret: as many characters as SHA-256 has bytes. */
const SECRET_LENGTH = 32

/**
 * Says what is unsafe in production, and how to end it, as warnings of the process with a code of their own each. Nothing is
 * said where `NODE_ENV` is `development` or `test`.
 */
export function warnAtStart(app: FastifyInstance, settings: Settings): void {
  if (process.env.NODE_ENV === 'development' || process.env.NODE_ENV === 'test') return
  const { store, shortestSecret, cookie } = settings

  if (keepsInMemory(store)) {
    warn(
      'SESSION_MEMORY_STORE',
      'sessions are kept in memory: they end with this process, and no other process sees them. ' +
        'Pass a store that lasts, such as new SqliteStore({ path }) of @session-stores/sqlite, or set NODE_ENV=development',
    )
  }
  if (shortestSecret !== undefined && shortestSecret < SECRET_LENGTH) {
    warn(
      'SESSION_SHORT_SECRET',
      `a secret that signs session cookies has ${shortestSecret} characters, and may be guessed. ` +
        `Make one with: node -p "crypto.randomBytes(32).toString('base64url')"`,
    )
  }
  if (cookie.secure === true) return

  app.addHook('onListen', (done) => {
    if (app.addresses().some(isReachable) && !isOnHttps(app)) {
      warn(
        'SESSION_PLAIN_HTTP',
        'session cookies go over plain http, for anybody on the way to read. Put https in front and tell Fastify by trustProxy ' +
          'which proxy to believe, or give Fastify a certificate by https, or listen on localhost only',
      )
    }
    done()
  })

  let warned = false
  app.addHook('onRequest', (request, _reply, done) => {
    if (!warned && isUntrustedHttps(request)) {
      warned = true
      warn(
        'SESSION_UNTRUSTED_PROXY',
        'a request says that it came by https (X-Forwarded-Proto), but the proxy that says so is not trusted, so its session ' +
          'cookie is not Secure. Set trustProxy of Fastify to the address of the proxy, such as trustProxy: "loopback"',
      )
    }
    done()
  })
}

function warn(code: string, text: string): void {
  process.emitWarning(text, { type: 'SessionWarning', code })
}

function keepsInMemory(store: Settings['store']): boolean {
  const { backend } = store as { backend?: { name?: unknown } }
  return backend?.name === 'memory' || store instanceof fastifySession.MemoryStore
}

/** A proxy that is trusted is taken to be there for https: only with `trustProxy` do requests have `ips`. */
function isOnHttps(app: FastifyInstance): boolean {
  return app.listeningOrigin.startsWith('https:') || app.hasRequestDecorator('ips')
}

/** From other machines. A path is a socket of this machine, with a proxy before it. */
function isReachable(address: ReturnType<FastifyInstance['addresses']>[number]): boolean {
  return typeof address !== 'string' && !/^(127\.|::1$|::ffff:127\.)/.test(address.address)
}

function isUntrustedHttps(request: FastifyRequest): boolean {
  return request.headers['x-forwarded-proto'] === 'https' && request.protocol !== 'https'
}
