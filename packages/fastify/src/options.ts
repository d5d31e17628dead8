import { inspect } from 'node:util'
import { Signer } from '@fastify/cookie'
import type { CookieOptions, FastifySessionOptions, SessionStore } from '@fastify/session'

/** All durations are in milliseconds. */
export interface SessionsOptions {
  /** Where sessions are kept: any store that `@fastify/session` takes. It is closed with the application, see `closeStore`. */
  store: SessionStore

  /**
   * Signs the session cookie. 32 characters or more, from a random source. To rotate it, pass a list: the first signs,
   * the others are still accepted, and a cookie that one of them signed is signed anew at its next request.
   * A signer of your own (`sign`, `unsign`) does as well.
   */
  secret: FastifySessionOptions['secret']

  /**
   * A session ends this long after its last request. In ms. OWASP's Session Management Cheat Sheet asks for 15 to 30 minutes
   * where little is at risk, and for 2 to 5 where much is.
   * @default 1_800_000 (30 minutes)
   */
  idleTimeout?: number | undefined

  /**
   * A session ends this long after it began, however busy it is; `false` for never. A log-in begins a new one. In ms. OWASP's
   * Session Management Cheat Sheet asks for 4 to 8 hours for an office worker's day.
   * @default 28_800_000 (8 hours)
   */
  absoluteTimeout?: number | false | undefined

  /**
   * How long requests that are under way may take once the application is closing. In ms; must be less than Fastify's
   * `pluginTimeout`, which is 10_000 by default.
   * @default 5000
   */
  closeTimeout?: number | undefined

  /**
   * Whether the store is closed with the application, if it has a method `close`. `false` where others still use it.
   * @default true
   */
  closeStore?: boolean | undefined

  /**
   * What the session cookie is called. The prefix tells browsers to take the cookie only over https, from this host, for
   * all of it (RFC 6265bis, section 4.1.3).
   * @default '__Host-session' over https, 'session' over plain http
   */
  cookieName?: string | undefined

  /**
   * Attributes of the session cookie, as in `@fastify/session`, over these defaults: `path: '/'`, `httpOnly: true`,
   * `sameSite: 'lax'`, `secure: 'auto'` and `maxAge: idleTimeout`.
   */
  cookie?: { [Attribute in keyof CookieOptions]: CookieOptions[Attribute] | undefined } | undefined

  /**
   * Whether each request begins the idle timeout anew, also one that does not change the session.
   * @default true
   */
  rolling?: boolean | undefined

  /**
   * Whether a visitor whose session holds nothing gets a stored session and a cookie all the same.
   * @default false
   */
  saveUninitialized?: boolean | undefined

  /** Makes session ids. The default of `@fastify/session` has 192 random bits; OWASP asks for 64 at least. */
  idGenerator?: FastifySessionOptions['idGenerator'] | undefined

  /** What the cookie's value begins with: `'s:'` for cookies of express-session. */
  cookiePrefix?: string | undefined

  /**
   * The hash that signs the cookie, as `crypto.createHmac` names it.
   * @default 'sha256'
   */
  algorithm?: string | undefined
}

/** The options, checked and with their defaults. */
export interface Settings {
  store: SessionStore
  signer: Exclude<FastifySessionOptions['secret'], string | string[]>
  /** Whether a cookie may come that another secret signed than the one that signs now. */
  rotates: boolean
  /** The least length of the secrets, in characters; undefined for a signer of the application's own. */
  shortestSecret: number | undefined
  absoluteTimeout: number | false
  closeTimeout: number
  closeStore: boolean
  /** What the cookie is called over https and over plain http. */
  names: { https: string; http: string }
  cookie: CookieOptions
  cookiePrefix: string
  saveUninitialized: boolean
  rolling: boolean
  idGenerator: FastifySessionOptions['idGenerator']
}

const MINUTE = 60_000

/** The longest delay that a Node timer takes, in ms. */
const MAX_DELAY = 2 ** 31 - 1

const known: ReadonlyArray<keyof SessionsOptions> = [
  'store',
  'secret',
  'idleTimeout',
  'absoluteTimeout',
  'closeTimeout',
  'closeStore',
  'cookieName',
  'cookie',
  'rolling',
  'saveUninitialized',
  'idGenerator',
  'cookiePrefix',
  'algorithm',
]

/** Options of `register` itself, which Fastify hands on. */
const registerOptions = ['prefix', 'logLevel', 'logSerializers']

/** @throws TypeError that names the option, what it wants, and what is wrong with it */
export function settingsFrom(options: SessionsOptions): Settings {
  for (const name of Object.keys(options)) {
    if (![...known, ...registerOptions].includes(name)) {
      throw new TypeError(`unknown option ${inspect(name)}: the options are ${known.join(', ')}`)
    }
  }
  const { store, secret, algorithm, cookieName, idGenerator } = options
  for (const method of ['get', 'set', 'destroy'] as const) {
    if (typeof store?.[method] !== 'function') {
      throw new TypeError('store must be a session store, such as new SqliteStore({ path }) of @session-stores/sqlite')
    }
  }

  const given = definedOf(options.cookie ?? {})
  if (options.idleTimeout !== undefined && given.maxAge !== undefined) {
    throw new TypeError('idleTimeout and cookie.maxAge are the same: set only one of them')
  }
  // Defaults in place of undefined only: null is a wrong value
  const { idleTimeout = 30 * MINUTE, absoluteTimeout = 8 * 60 * MINUTE, closeTimeout = 5000 } = options
  checkMs('idleTimeout', idleTimeout)
  if ('maxAge' in given) checkMs('cookie.maxAge', given.maxAge)
  if (absoluteTimeout !== false) checkMs('absoluteTimeout', absoluteTimeout, ', or false')
  checkMs('closeTimeout', closeTimeout, '', MAX_DELAY)

  const cookie: CookieOptions = {
    path: '/',
    httpOnly: true,
    sameSite: 'lax',
    secure: 'auto',
    maxAge: idleTimeout,
    ...given,
  }
  const idle = cookie.maxAge ?? idleTimeout
  if (absoluteTimeout !== false && idle > absoluteTimeout) {
    throw new TypeError(
      `a session may be idle for ${idle} ms, but ends after ${absoluteTimeout} ms: raise absoluteTimeout, or set it to false`,
    )
  }

  return {
    store,
    ...signing(secret, algorithm),
    absoluteTimeout,
    closeTimeout,
    closeStore: options.closeStore ?? true,
    names: cookieName === undefined ? namesFor(cookie) : { https: cookieName, http: cookieName },
    cookie,
    cookiePrefix: options.cookiePrefix ?? '',
    saveUninitialized: options.saveUninitialized ?? false,
    rolling: options.rolling ?? true,
    idGenerator,
  }
}

function signing(secret: SessionsOptions['secret'], algorithm: string | undefined) {
  if (typeof secret === 'string' || Array.isArray(secret)) {
    const secrets = [secret].flat()
    if (secrets.length === 0 || secrets.some((each) => typeof each !== 'string' || each === '')) {
      throw new TypeError('secret must be a string, or a list of them with the newest first')
    }
    // The list itself, not a copy: the application may add to it and take from it while it runs
    const signer = new Signer(secret, algorithm)
    const shortestSecret = Math.min(...secrets.map(({ length }) => length))
    return { signer, rotates: Array.isArray(secret), shortestSecret }
  }
  if (typeof secret?.sign !== 'function' || typeof secret.unsign !== 'function') {
    // Not shown: it may be a secret of another form
    throw new TypeError('secret must be a string, a list of strings, or a signer with the methods sign and unsign')
  }
  return { signer: secret, rotates: true, shortestSecret: undefined }
}

/** Browsers take a `__Host-` cookie only with Secure, with Path=/ and without Domain, and a `__Secure-` one only with Secure. */
function namesFor({ secure, domain, path }: CookieOptions): Settings['names'] {
  const bare = 'session'
  const prefixed = domain === undefined && path === '/' ? `__Host-${bare}` : `__Secure-${bare}`
  if (secure === 'auto') return { https: prefixed, http: bare }
  return secure ? { https: prefixed, http: prefixed } : { https: bare, http: bare }
}

function definedOf(attributes: NonNullable<SessionsOptions['cookie']>): CookieOptions {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined))
}

function checkMs(name: string, value: unknown, or = '', max = Number.MAX_SAFE_INTEGER): void {
  if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= max) return
  throw new TypeError(`${name} must be a whole number of ms from 1 to ${max}${or}; got ${inspect(value, { depth: 0 })}`)
}
