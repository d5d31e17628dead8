import assert from 'node:assert/strict'
import { channel } from 'node:diagnostics_channel'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import fastifyCookie from '@fastify/cookie'
import fastifySession, { type FastifySessionOptions, type SessionStore } from '@fastify/session'
import Fastify, { type FastifyInstance } from 'fastify'

/** Any store that `@fastify/session` takes and that can be closed. */
export type PluginStore = SessionStore & { close(): unknown }

/** A promise to the users of an application, shown through a real Fastify with real cookies over real sockets. */
export interface PluginCase {
  name: string
  /** @param makeStore a store on fresh, empty data; the case closes it */
  run(makeStore: () => PluginStore | Promise<PluginStore>): Promise<void>
}

export const pluginCases: PluginCase[] = [
  pluginCase('logged out stays logged out, and a log-in gives a new id', async ({ app }) => {
    const browser = new Browser(app)
    await browser.post('/set/theme/dark')
    const before = browser.cookie
    await browser.post('/login/ada')
    assert.notEqual(browser.cookie, before, 'a new id after log-in')
    assert.equal((await browser.get('/me')).user, 'ada')
    assert.deepEqual(await new Browser(app, before).get('/me'), {}, 'the old id is worth nothing')
    const stolen = new Browser(app, browser.cookie)
    await browser.post('/logout')
    assert.deepEqual(await stolen.get('/me'), {})
  }),

  pluginCase('a slow request that changes the session does not undo a log-out', async ({ app, gate }) => {
    const browser = new Browser(app)
    await browser.post('/login/ada')
    const slow = new Browser(app, browser.cookie)
    const answer = slow.post('/slow/set/a/1')
    await gate.entered(1)
    await new Browser(app, browser.cookie).post('/logout')
    gate.open()
    await answer
    assert.deepEqual(await new Browser(app, browser.cookie).get('/me'), {})
  }),

  pluginCase('a slow request that only reads does not undo a log-out', async ({ app, gate }) => {
    const browser = new Browser(app)
    await browser.post('/login/ada')
    const answer = new Browser(app, browser.cookie).get('/slow/me')
    await gate.entered(1)
    await new Browser(app, browser.cookie).post('/logout')
    gate.open()
    assert.equal((await answer).user, 'ada')
    assert.deepEqual(await new Browser(app, browser.cookie).get('/me'), {})
  }),

  pluginCase('two overlapping requests that set different keys both keep theirs', async ({ app, gate }) => {
    const browser = new Browser(app)
    await browser.post('/login/ada')
    const answers = ['a', 'b'].map((key) => new Browser(app, browser.cookie).post(`/slow/set/${key}/1`))
    await gate.entered(2)
    gate.open()
    await Promise.all(answers)
    assert.deepEqual(await browser.get('/me'), { user: 'ada', a: '1', b: '1' })
  }),

  pluginCase('64 overlapping requests lose nothing', async ({ app, gate }) => {
    const browser = new Browser(app)
    await browser.post('/login/ada')
    const keys = Array.from({ length: 64 }, (_, n) => `key${n}`)
    const answers = keys.map((key) => new Browser(app, browser.cookie).post(`/slow/set/${key}/1`))
    await gate.entered(64)
    gate.open()
    await Promise.all(answers)
    assert.deepEqual(await browser.get('/me'), { user: 'ada', ...Object.fromEntries(keys.map((key) => [key, '1'])) })
  }),

  pluginCase('requests that only read write nothing, though the plugin saves each time', async ({ app }) => {
    const browser = new Browser(app)
    await browser.post('/login/ada')
    const outcomes: unknown[] = []
    const listen = (message: unknown) => outcomes.push((message as { outcome: unknown }).outcome)
    channel('tracing:session-stores.set:asyncEnd').subscribe(listen)
    try {
      for (let n = 0; n < 3; n += 1) await browser.get('/me')
    } finally {
      channel('tracing:session-stores.set:asyncEnd').unsubscribe(listen)
    }
    assert.deepEqual(outcomes, ['skipped', 'skipped', 'skipped'])
  }),

  pluginCase(
    'a session in use lives on past its first expiry, an idle one ends',
    async ({ app }) => {
      const browser = new Browser(app)
      await browser.post('/login/ada')
      const begun = Date.now()
      while (Date.now() < begun + 4000) {
        await sleep(200)
        assert.equal((await browser.get('/me')).user, 'ada', `in use after ${Date.now() - begun} ms`)
      }
      await sleep(2100)
      assert.deepEqual(await browser.get('/me'), {})
    },
    { cookie: { secure: false, maxAge: 2000 } },
  ),

  pluginCase('a session changed and saved by hand within a request is saved again at its end', async ({ app }) => {
    const browser = new Browser(app)
    await browser.post('/login/ada')
    await browser.post('/save-twice')
    assert.deepEqual(await browser.get('/me'), { user: 'ada', first: true, second: true })
  }),
]

interface Scene {
  app: FastifyInstance
  gate: Gate
}

function pluginCase(
  name: string,
  act: (scene: Scene) => Promise<void>,
  options: Partial<FastifySessionOptions> = {},
): PluginCase {
  return {
    name,
    async run(makeStore) {
      const gate = new Gate()
      const app = buildApp(await makeStore(), gate, options)
      await app.listen({ host: '127.0.0.1', port: 0 })
      try {
        await act({ app, gate })
      } finally {
        gate.open()
        await app.close()
      }
    },
  }
}

/** The application of these cases: its requests under `/slow` wait at the gate after their session was loaded. */
export function buildApp(store: PluginStore, gate = new Gate(), options: Partial<FastifySessionOptions> = {}) {
  const app = Fastify({ forceCloseConnections: true })
  app.register(fastifyCookie)
  app.register(fastifySession, {
    secret: 'a secret of the tests, of at least 32 characters',
    store,
    saveUninitialized: false,
    cookie: { secure: false, maxAge: 60_000 },
    ...options,
  })
  app.addHook('onClose', async () => {
    await store.close()
  })
  for (const prefix of ['', '/slow']) {
    const pass = async () => (prefix === '/slow' ? gate.pass() : undefined)
    app.get(`${prefix}/me`, async (request) => {
      await pass()
      return contents(request.session)
    })
    app.post<{ Params: { key: string; value: string } }>(`${prefix}/set/:key/:value`, async (request) => {
      await pass()
      const { key, value } = request.params
      request.session.set(key as never, value as never)
      return 'ok'
    })
  }
  app.post<{ Params: { user: string } }>('/login/:user', async (request) => {
    await request.session.regenerate()
    request.session.set('user' as never, request.params.user as never)
    return 'ok'
  })
  app.post('/logout', async (request) => {
    await request.session.destroy()
    return 'ok'
  })
  app.post('/save-twice', async (request) => {
    request.session.set('first' as never, true as never)
    await request.session.save()
    request.session.set('second' as never, true as never)
    return 'ok'
  })
  return app
}

function contents(session: object): object {
  const { cookie, ...rest } = JSON.parse(JSON.stringify(session))
  return rest
}

/** Holds requests until the case opens it. */
export class Gate {
  #waiting = 0
  #opened = false
  readonly #open: Array<() => void> = []
  readonly #watchers: Array<() => void> = []

  async pass(): Promise<void> {
    if (this.#opened) return
    this.#waiting += 1
    for (const tell of this.#watchers.splice(0)) tell()
    await new Promise<void>((resolve) => this.#open.push(resolve))
  }

  /** Resolves when this many requests wait. */
  async entered(count: number): Promise<void> {
    while (this.#waiting < count) await new Promise<void>((resolve) => this.#watchers.push(resolve))
  }

  open(): void {
    this.#opened = true
    for (const resolve of this.#open.splice(0)) resolve()
  }
}

/** Sends requests and keeps the session cookie, as a browser does. */
export class Browser {
  readonly #app: FastifyInstance
  /** The session cookie as the browser would send it. */
  cookie: string | undefined

  constructor(app: FastifyInstance, cookie?: string) {
    this.#app = app
    this.cookie = cookie
  }

  async get(path: string): Promise<Record<string, unknown>> {
    const response = await this.request('GET', path)
    assert.equal(response.status, 200, `GET ${path}`)
    return (await response.json()) as Record<string, unknown>
  }

  async post(path: string): Promise<void> {
    const response = await this.request('POST', path)
    assert.equal(response.status, 200, `POST ${path}: ${await response.text()}`)
  }

  async request(method: string, path: string): Promise<Response> {
    if (!this.#app.server.listening) await once(this.#app.server, 'listening')
    const { port } = this.#app.server.address() as AddressInfo
    const headers: Record<string, string> = this.cookie ? { cookie: this.cookie } : {}
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers })
    for (const line of response.headers.getSetCookie()) this.cookie = line.split(';', 1)[0]
    return response
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
