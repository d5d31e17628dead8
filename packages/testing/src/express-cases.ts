import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type Express } from 'express'
import session, { type SessionOptions, type Store } from 'express-session'
import { Gate } from './plugin-cases.ts'

/** What the cases need of a store behind the face for express-session. */
export type ExpressStore = Store & {
  close(): unknown
}

/** Makes a store on fresh, empty data, from express-session's own `Store` class. */
export type MakeExpressStore = (StoreClass: typeof Store) => ExpressStore | Promise<ExpressStore>

/** A promise to the users of an Express application, shown through a real Express 5 with real cookies over real sockets. */
export interface ExpressCase {
  name: string
  run(makeStore: MakeExpressStore): Promise<void>
}

type Data = Record<string, unknown>

export const expressCases: ExpressCase[] = [
  expressCase('logged out stays logged out, and a log-in gives a new id', async ({ visitor }) => {
    const ada = visitor()
    await ada.post('/set/theme/dark')
    const before = ada.cookie
    await ada.post('/login/ada')
    assert.notEqual(ada.cookie, before)
    assert.equal((await ada.get('/me')).user, 'ada')
    assert.deepEqual(await visitor(before).get('/me'), {})
    const stolen = visitor(ada.cookie)
    await ada.post('/logout')
    assert.deepEqual(await stolen.get('/me'), {})
  }),

  ...['/slow/set/a/1', '/slow/me'].map((path) =>
    expressCase(`a slow request does not undo a log-out: ${path}`, async ({ visitor, gate }) => {
      const ada = visitor()
      await ada.post('/login/ada')
      const answer = visitor(ada.cookie).request(path.includes('set') ? 'POST' : 'GET', path)
      await gate.entered(1)
      await visitor(ada.cookie).post('/logout')
      gate.open()
      await answer
      assert.deepEqual(await visitor(ada.cookie).get('/me'), {})
    }),
  ),

  expressCase('20 overlapping requests that set different keys lose nothing', async ({ visitor, gate }) => {
    const ada = visitor()
    await ada.post('/login/ada')
    const keys = Array.from({ length: 20 }, (_, n) => `key${n}`)
    const answers = keys.map((key) => visitor(ada.cookie).post(`/slow/set/${key}/1`))
    await gate.entered(20)
    gate.open()
    await Promise.all(answers)
    assert.deepEqual(await ada.get('/me'), { user: 'ada', ...Object.fromEntries(keys.map((key) => [key, '1'])) })
  }),

  ...[true, false].map((resave) =>
    expressCase(
      `requests that only read change nothing, with resave: ${resave}`,
      async ({ visitor, gate }) => {
        const ada = visitor()
        await ada.post('/login/ada')
        const reads = visitor(ada.cookie).get('/slow/me')
        await gate.entered(1)
        await ada.post('/set/a/1')
        gate.open()
        await reads
        assert.deepEqual(await ada.get('/me'), { user: 'ada', a: '1' })
      },
      { resave },
    ),
  ),

  expressCase(
    'a session in use lives on past its first expiry, an idle one ends',
    async ({ visitor }) => {
      const ada = visitor()
      await ada.post('/login/ada')
      const begun = Date.now()
      while (Date.now() < begun + 4000) {
        await sleep(200)
        assert.equal((await ada.get('/me')).user, 'ada', `in use after ${Date.now() - begun} ms`)
      }
      await sleep(2100)
      assert.deepEqual(await ada.get('/me'), {})
    },
    { cookie: { maxAge: 2000 }, rolling: true },
  ),

  expressCase('reload() shows what others stored, and after a log-out it brings nothing back', async ({ visitor }) => {
    const ada = visitor()
    await ada.post('/login/ada')
    assert.deepEqual(await ada.get('/reload/set/a/1'), { user: 'ada', a: '1' })
    assert.deepEqual(await ada.get('/reload/logout'), { error: 'failed to load session' })
    assert.deepEqual(await visitor(ada.cookie).get('/me'), {})
  }),

  expressCase(
    "unset: 'destroy' ends a session whose request drops it",
    async ({ visitor }) => {
      const ada = visitor()
      await ada.post('/login/ada')
      const { cookie } = ada
      await ada.post('/drop')
      assert.deepEqual(await visitor(cookie).get('/me'), {})
    },
    { unset: 'destroy' },
  ),

  expressCase(
    'secure cookies work behind a proxy',
    async ({ visitor }) => {
      const ada = visitor()
      await ada.post('/login/ada')
      assert.equal((await ada.get('/me')).user, 'ada')
    },
    { cookie: { secure: true, maxAge: 60_000 }, proxy: true },
  ),

  expressCase('an application that passes no callback gets no unhandled rejection', async ({ store, visitor }) => {
    const ada = visitor()
    await ada.post('/login/ada')
    store.destroy('none')
    store.set('plain', { cookie: { originalMaxAge: null } } as never)
    store.touch?.('none', { cookie: { originalMaxAge: null } } as never)
    ;(store.set as (id: string, session: unknown) => void)('', {}) // fails
    await sleep(50)
    assert.equal((await ada.get('/me')).user, 'ada')
  }),
]

/** What works where the server can list and count. */
export const expressListCases: ExpressCase[] = [
  expressCase('length, all and clear', async ({ store, visitor }) => {
    const users = ['ada', 'bob', 'eve']
    for (const user of users) await visitor().post(`/login/${user}`)
    const length = await new Promise((resolve, reject) =>
      store.length?.((error, count) => (error ? reject(error) : resolve(count))),
    )
    assert.equal(length, users.length)
    const all = await new Promise<unknown>((resolve, reject) =>
      store.all?.((error, sessions) => (error ? reject(error) : resolve(sessions))),
    )
    assert.deepEqual((all as Data[]).map(({ user }) => user).sort(), users)
    await new Promise<void>((resolve, reject) => store.clear?.((error) => (error ? reject(error) : resolve())))
    const left = await new Promise((resolve, reject) =>
      store.length?.((error, count) => (error ? reject(error) : resolve(count))),
    )
    assert.equal(left, 0)
  }),
]

interface Scene {
  store: ExpressStore
  gate: Gate
  /** A browser, with the cookie of another one. */
  visitor(cookie?: string): Visitor
}

function expressCase(
  name: string,
  act: (scene: Scene) => Promise<void>,
  options: Partial<SessionOptions> = {},
): ExpressCase {
  return {
    name,
    async run(makeStore) {
      const gate = new Gate()
      const store = await makeStore(session.Store)
      const server = buildExpressApp(store, gate, options).listen(0, '127.0.0.1')
      await once(server, 'listening')
      try {
        await act({ store, gate, visitor: (cookie) => new Visitor(server, cookie) })
      } finally {
        gate.open()
        server.closeAllConnections()
        server.close()
        await store.close()
      }
    },
  }
}

/** The application of these cases: its requests under `/slow` wait at the gate after their session was loaded. */
export function buildExpressApp(store: Store, gate = new Gate(), options: Partial<SessionOptions> = {}): Express {
  const app = express()
  app.set('trust proxy', 1)
  app.use(
    session({
      store,
      secret: 'a secret of the tests, of at least 32 characters',
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: 60_000 },
      ...options,
    }),
  )
  for (const prefix of ['', '/slow']) {
    const pass = async () => (prefix === '/slow' ? gate.pass() : undefined)
    app.get(`${prefix}/me`, async (request, response) => {
      await pass()
      response.json(contents(request.session))
    })
    app.post(`${prefix}/set/:key/:value`, async (request, response) => {
      await pass()
      const { key, value } = request.params as Record<string, string>
      Object.assign(request.session, { [key as string]: value })
      response.json('ok')
    })
  }
  app.post('/login/:user', (request, response, next) => {
    request.session.regenerate((error) => {
      if (error) return next(error)
      Object.assign(request.session, { user: request.params.user })
      response.json('ok')
    })
  })
  app.post('/logout', (request, response, next) => {
    request.session.destroy((error) => (error ? next(error) : response.json('ok')))
  })
  app.post('/drop', (request, response) => {
    ;(request as unknown as Data).session = null
    response.json('ok')
  })
  // What another request does while this one is under way, and then reload().
  app.get('/reload/set/:key/:value', (request, response, next) => {
    store.get(request.sessionID, (_, found) => {
      const { key, value } = request.params as Record<string, string>
      store.set(request.sessionID, { ...found, [key as string]: value } as never, () =>
        request.session.reload((error) => (error ? next(error) : response.json(contents(request.session)))),
      )
    })
  })
  app.get('/reload/logout', (request, response) => {
    store.destroy(request.sessionID, () =>
      request.session.reload((error: unknown) => response.json({ error: (error as Error | undefined)?.message })),
    )
  })
  return app
}

function contents(current: object): Data {
  const { cookie, ...rest } = JSON.parse(JSON.stringify(current))
  return rest
}

/** Sends requests and keeps the session cookie, as a browser does. */
class Visitor {
  readonly #server: Server
  cookie: string | undefined

  constructor(server: Server, cookie?: string) {
    this.#server = server
    this.cookie = cookie
  }

  async get(path: string): Promise<Data> {
    const response = await this.request('GET', path)
    assert.equal(response.status, 200, `GET ${path}`)
    return (await response.json()) as Data
  }

  async post(path: string): Promise<void> {
    const response = await this.request('POST', path)
    assert.equal(response.status, 200, `POST ${path}: ${await response.text()}`)
  }

  async request(method: string, path: string): Promise<Response> {
    const { port } = this.#server.address() as AddressInfo
    const headers: Record<string, string> = { 'x-forwarded-proto': 'https' }
    if (this.cookie) headers.cookie = this.cookie
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers })
    for (const line of response.headers.getSetCookie()) this.cookie = line.split(';', 1)[0]
    return response
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
