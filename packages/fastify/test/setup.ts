import { join } from 'node:path'
import type { SessionStore } from '@fastify/session'
import { MemoryStore, type StoreOptions } from '@session-stores/core'
import { RedisStore } from '@session-stores/redis'
import { SqliteStore } from '@session-stores/sqlite'
import { dataFolder, removeFolder } from '@session-stores/testing'
import { RedisServer } from '@session-stores/testing/redis'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { Redis } from 'ioredis'
import { CookieJar } from 'tough-cookie'
import { afterAll, beforeAll, describe } from 'vitest'
import { type SessionsOptions, sessions } from '../src/index.ts'

declare module 'fastify' {
  interface Session {
    user?: string
    cart?: string[]
    visits?: number
  }
}

export const SECRET = 'a secret of the tests, of at least 32 characters'

export type MakeStore = (options?: StoreOptions) => SessionStore & { close(): Promise<void> }

const kinds = ['memory', 'sqlite', ...(process.env.SKIP_REDIS === '1' ? [] : ['redis'])]

/** The same tests on several stores: one in memory, one in a file, and one on a server. Each call makes an empty one. */
export function describeOnStores(what: string, tests: (makeStore: MakeStore) => void): void {
  describe.each(kinds)(`${what}, on %s`, (kind) => {
    const disposals: Array<() => unknown> = []
    let makeStore: MakeStore
    let count = 0

    beforeAll(async () => {
      if (kind === 'redis') {
        const server = await RedisServer.start()
        const client = new Redis(server.url)
        disposals.push(
          () => server.stop(),
          () => client.disconnect(),
        )
        makeStore = (options) => new RedisStore({ client, prefix: `${count++}:`, ...options })
      } else if (kind === 'sqlite') {
        const folder = dataFolder('fastify')
        disposals.push(() => removeFolder(folder))
        makeStore = (options) => new SqliteStore({ path: join(folder, `${count++}.sqlite`), ...options })
      } else {
        makeStore = (options) => new MemoryStore(options)
      }
    })
    afterAll(async () => {
      for (const dispose of disposals.reverse()) await dispose()
    })

    tests((options) => makeStore(options))
  })
}

export type SiteOptions = Partial<SessionsOptions> & Pick<SessionsOptions, 'store'>

/** An application on a port of its own. `await using` closes it. */
export class Site implements AsyncDisposable {
  readonly app: FastifyInstance
  readonly base: string

  /** @param routes registers plugins and routes, after the sessions */
  static async open(
    options: SiteOptions,
    routes: (app: FastifyInstance) => unknown,
    serverOptions: FastifyServerOptions = {},
  ): Promise<Site> {
    const app = Fastify(serverOptions)
    app.register(sessions, { secret: SECRET, ...options })
    app.register(async (scope) => {
      await routes(scope)
    })
    return new Site(app, await app.listen({ host: '127.0.0.1', port: 0 }))
  }

  constructor(app: FastifyInstance, base: string) {
    this.app = app
    this.base = base
  }

  /** A visitor of their own. @param origin where the browser takes the site to be, when a proxy for https stands before it */
  browser(origin?: `https://${string}`): Browser {
    return new Browser(this.base, origin)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app.close()
  }
}

export interface Answer {
  status: number
  body: string
  headers: Headers
  /** The lines of `Set-Cookie`. */
  cookies: string[]
}

/** Sends requests as a browser does: keeps cookies by the rules of RFC 6265bis, and follows no redirect by itself. */
export class Browser {
  readonly jar = new CookieJar(undefined, { prefixSecurity: 'strict' })
  readonly #base: string
  readonly #origin: string

  constructor(base: string, origin = base) {
    this.#base = base
    this.#origin = origin
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.#send(path, { headers })
  }

  /** @param fields a form's; without any, there is no body */
  post(path: string, fields: Record<string, string> = {}, headers: Record<string, string> = {}): Promise<Answer> {
    const body = Object.keys(fields).length > 0 ? { body: new URLSearchParams(fields) } : {}
    return this.#send(path, { method: 'POST', ...body, headers })
  }

  follow(redirect: Answer): Promise<Answer> {
    return this.get(redirect.headers.get('location') ?? '')
  }

  /** The `Cookie` header that the browser would send: `session=…`. */
  cookie(): Promise<string> {
    return this.jar.getCookieString(this.#origin)
  }

  /** Another one with the same cookies, as they are now. */
  async copy(): Promise<Browser> {
    const copy = new Browser(this.#base, this.#origin)
    for (const cookie of await this.jar.getCookies(this.#origin)) await copy.jar.setCookie(cookie, this.#origin)
    return copy
  }

  async #send(path: string, init: { method?: string; body?: URLSearchParams; headers: Record<string, string> }) {
    const url = new URL(path, this.#origin)
    const headers: Record<string, string> = { cookie: await this.jar.getCookieString(url.href), ...init.headers }
    if (this.#origin.startsWith('https:')) headers['x-forwarded-proto'] ??= 'https'
    const response = await fetch(new URL(url.pathname + url.search, this.#base), {
      ...init,
      headers,
      redirect: 'manual',
    })
    const cookies = response.headers.getSetCookie()
    for (const line of cookies) await this.jar.setCookie(line, url.href, { ignoreError: true })
    return { status: response.status, body: await response.text(), headers: response.headers, cookies }
  }
}
