// The samples in docs/recipes.md, as they stand there.
import { execFile } from 'node:child_process'
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { MemoryStore } from '@session-stores/core'
import { logIn, logOut, sessions } from '@session-stores/fastify'
import { SqliteStore } from '@session-stores/sqlite'
import { dataFolder, freePort, removeFolder, ServerProcess, until } from '@session-stores/testing'
import { RedisServer } from '@session-stores/testing/redis'
import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { type KeyService, newWrappedKey, unwrapKeys } from '../src/kms-key.ts'
import { startNest } from '../src/nest.ts'
import { addPasswordChange } from '../src/password-change.ts'
import { addRateLimit } from '../src/rate-limit.ts'
import { addLogIn } from '../src/remember-me.ts'
import { addSessions } from '../src/rotating-secrets.ts'
import { cautiousSerializer, richSerializer } from '../src/serializer.ts'
import { addEvents } from '../src/server-sent-events.ts'
import { addParts } from '../src/several-stores.ts'
import { addSocketServer } from '../src/websocket-server.ts'
import { addSocket } from '../src/websockets.ts'
import { SECRET, Visitor } from './visitor.ts'

const src = join(import.meta.dirname, '../src')
const DAY = 86_400_000

test('remember me: 30 days without a visit for who asked, 30 minutes for who did not', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => {
    vi.useRealTimers()
  })
  const app = open()
  addLogIn(app, new MemoryStore(), SECRET)
  addMe(app)
  const [ada, bob] = [new Visitor(app), new Visitor(app)]
  const answer = await ada.post('/login', { user: 'ada', remember: true })
  expect(answer.cookies[0]?.expires?.getTime()).toBeCloseTo(Date.now() + 30 * DAY, -4)
  await bob.post('/login', { user: 'bob' })
  vi.setSystemTime(Date.now() + 31 * 60_000)
  expect((await ada.get('/me')).body).toBe('ada')
  expect((await bob.get('/me')).body).toBe('nobody')
  vi.setSystemTime(Date.now() + 29 * DAY) // each visit begins the 30 days anew
  expect((await ada.get('/me')).body).toBe('ada')
  vi.setSystemTime(Date.now() + 29 * DAY)
  expect((await ada.get('/me')).body).toBe('ada')
  vi.setSystemTime(Date.now() + 31 * DAY)
  expect((await ada.get('/me')).body).toBe('nobody')
})

test.each(['/events', '/hijacked'])(
  'server-sent events at %s: only for who is logged in, and until the log-out',
  async (path) => {
    const app = open()
    const store = new MemoryStore()
    app.register(sessions, { store, secret: SECRET })
    addMe(app)
    addEvents(app, store, 10)
    const base = await app.listen({ host: '127.0.0.1', port: 0 })
    const ada = new Visitor(app)
    expect((await ada.get(path)).statusCode).toBe(401)
    await ada.post('/begin', { user: 'ada' })
    const { headers, body } = await fetch(base + path, { headers: { cookie: ada.header } })
    expect(headers.get('content-type')).toContain('text/event-stream')
    const chunks: string[] = []
    const reading = (async () => {
      for await (const chunk of body as ReadableStream<Uint8Array>) chunks.push(Buffer.from(chunk).toString())
    })()
    await until('events come', () => chunks.length >= 2)
    if (path === '/hijacked') expect((await ada.get('/visits')).body).toBe('1')
    await ada.post('/end')
    await reading
    expect(chunks.at(-1)).toBe('event: end\ndata: logged out\n\n')
  },
)

test('websockets: a socket sees and saves the session, and is closed after the log-out', async () => {
  const app = open()
  const store = new MemoryStore()
  app.register(sessions, { store, secret: SECRET })
  addMe(app)
  await addSocket(app, store, 10)
  await app.listen({ host: '127.0.0.1', port: 0 })
  expect(await codeAtClose(connect(app, '/socket'))).toBe(4401)
  const ada = new Visitor(app)
  await ada.post('/begin', { user: 'ada' })
  const socket = connect(app, '/socket', ada)
  await once(socket, 'open')
  socket.send('hello')
  expect(String((await once(socket, 'message'))[0])).toBe('visit 1')
  expect((await ada.get('/visits')).body).toBe('1')
  await ada.post('/end')
  expect(await codeAtClose(socket)).toBe(4401)
})

test('websockets on a server of their own find the session by decryptSession', async () => {
  const app = open()
  app.register(sessions, { store: new MemoryStore(), secret: SECRET })
  addMe(app)
  addSocketServer(app)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const ada = new Visitor(app)
  await ada.post('/begin', { user: 'ada' })
  const socket = connect(app, '/', ada)
  expect(String((await once(socket, 'message'))[0])).toBe('hello ada')
  socket.close()
  const forged = new Visitor(app, { session: `${ada.cookies.session}x` })
  for (const who of [undefined, forged]) {
    const refused = connect(app, '/', who)
    const [, answer] = await once(refused, 'unexpected-response')
    expect(answer.statusCode).toBe(401)
  }
})

test.skipIf(process.env.SKIP_REDIS === '1')(
  'several stores: who is logged in to one part is nobody to the other',
  async () => {
    const { client } = await openRedis()
    const app = open()
    addParts(app, client, { shop: SECRET, staff: `${SECRET} of the staff` })
    const ada = new Visitor(app)
    await ada.post('/shop/login')
    expect((await ada.get('/shop/')).body).toBe('the shop knows ada')
    expect((await ada.get('/staff/')).body).toBe('the staff knows nobody')
    const stolen = new Visitor(app, { staff: ada.cookies.shop as string })
    expect((await stolen.get('/staff/')).body).toBe('the staff knows nobody')
    expect((await client.keys('*')).map((key) => key.split(':', 1)[0])).toEqual(['shop'])
  },
)

test('sessions in tests: the sample passes', async () => {
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, ['--test', join(src, 'sessions.test.mjs')], {
    env: plainEnvironment(),
  })
  expect(stdout).toMatch(/^(#|ℹ) pass 2$/m)
})

test.skipIf(process.env.SKIP_REDIS === '1')(
  'graceful shutdown: a request under way is answered, then the store and its client are closed',
  async () => {
    const { server } = await openRedis()
    const port = await freePort()
    const app = new ServerProcess(process.execPath, [join(src, 'graceful-shutdown.ts')], {
      env: { ...plainEnvironment(), REDIS_URL: server.url, SESSION_SECRET: SECRET, PORT: `${port}` },
    })
    onTestFinished(() => app.stop())
    const url = `http://127.0.0.1:${port}/`
    await until('it answers', () => fetch(url).then(({ ok }) => ok))
    server.pause() // so that a request waits
    const waiting = fetch(url)
    await until('the request is there', () => new Promise((resolve) => setTimeout(resolve, 100, true)))
    app.child.kill('SIGTERM')
    server.resume()
    expect((await waiting).status).toBe(200)
    await until('it has ended', () => !app.alive)
    expect([app.child.exitCode, app.output]).toEqual([0, ''])
  },
)

test('NestJS on Fastify: log-in, the session as a parameter, and log-out', async () => {
  const nest = await startNest({ store: new MemoryStore(), secret: SECRET })
  onTestFinished(() => nest.close())
  const ada = new Visitor(nest.getHttpAdapter().getInstance())
  expect((await ada.post('/login', { user: 'ada' })).statusCode).toBe(201)
  expect((await ada.get('/me')).body).toBe('ada')
  const stolen = ada.copy()
  await ada.post('/logout')
  expect((await stolen.get('/me')).body).toBe('nobody')
})

test('passport: log-in, refusal and log-out', async () => {
  const { addPassport } = await import(join(src, 'passport.mjs'))
  const app = open()
  await addPassport(app, {
    store: new MemoryStore(),
    secret: SECRET,
    isRight: async (name: string, password: string) => name === 'ada' && password === 'right',
  })
  const ada = new Visitor(app)
  expect((await ada.post('/login', { name: 'ada', password: 'wrong' })).statusCode).toBe(401)
  expect((await ada.get('/me')).body).toBe('nobody')
  expect((await ada.post('/login', { name: 'ada', password: 'right' })).body).toBe('welcome')
  expect((await ada.get('/me')).body).toBe('ada')
  const stolen = ada.copy()
  await ada.post('/logout')
  expect((await stolen.get('/me')).body).toBe('nobody')
})

test('rate limits: by user, whatever the address and the session, and else by address', async () => {
  const app = open()
  app.register(sessions, { store: new MemoryStore(), secret: SECRET })
  await addRateLimit(app, 3)
  addMe(app)
  const statuses = async (visitor: Visitor) => {
    const answers = []
    for (let n = 0; n < 3; n += 1) answers.push((await visitor.get('/me')).statusCode)
    return answers
  }
  const [ada, again, bob, nobody] = [new Visitor(app), new Visitor(app), new Visitor(app), new Visitor(app)]
  await ada.post('/begin', { user: 'ada' })
  await again.post('/begin', { user: 'ada' })
  await bob.post('/begin', { user: 'bob' }) // the third from this address
  expect(await statuses(ada)).toEqual([200, 200, 200])
  expect(await statuses(again)).toEqual([429, 429, 429])
  expect(await statuses(bob)).toEqual([200, 200, 200])
  expect(await statuses(nobody)).toEqual([429, 429, 429])
})

test('rotating secrets and keys logs nobody out, and afterwards the old ones are needed no more', async () => {
  const folder = dataFolder('recipes')
  onTestFinished(() => removeFolder(folder))
  const path = join(folder, 'sessions.sqlite')
  const [oldSecret, newSecret] = ['o'.repeat(40), 'n'.repeat(40)]
  const [oldKey, newKey] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')]
  let cookies: Record<string, string> = {}
  const steps = [
    [oldSecret, oldKey],
    [`${oldSecret},${newSecret}`, `${oldKey},${newKey}`], // every process can read the new ones
    [`${newSecret},${oldSecret}`, `${newKey},${oldKey}`],
    [newSecret, newKey],
  ] as const
  for (const [n, [SESSION_SECRETS, SESSION_KEYS]] of steps.entries()) {
    const app = Fastify()
    addSessions(app, path, { SESSION_SECRETS, SESSION_KEYS })
    addMe(app)
    const ada = new Visitor(app, cookies)
    if (n === 0) await ada.post('/begin', { user: 'ada' })
    expect([n, (await ada.get('/me')).body]).toEqual([n, 'ada'])
    await ada.post('/change') // seals it with the first key; any visit signs the cookie with the first secret
    cookies = ada.cookies
    await app.close()
  }
})

test('a key service opens the keys at start, and what is stored cannot be read without them', async () => {
  const service = new LocalKeyService()
  const wrapped = await newWrappedKey(service)
  const store = new MemoryStore({ encryptionKeys: await unwrapKeys(service, [wrapped]) })
  await store.set('id', { user: 'ada' })
  expect((await store.get('id'))?.user).toBe('ada')
  expect(service.asked).toBe(1)
  await expect(unwrapKeys(new LocalKeyService(), [wrapped])).rejects.toThrow()
})

test('a password change logs out everywhere else, and this session goes on under a new id', async () => {
  const store = new MemoryStore({ userOf: ({ user }) => user })
  const passwords = new Map<string, string>()
  const app = open()
  app.register(sessions, { store, secret: SECRET })
  addMe(app)
  addPasswordChange(app, store, async (user, password) => {
    passwords.set(user, password)
  })
  const [here, phone, bob] = [new Visitor(app), new Visitor(app), new Visitor(app)]
  expect((await here.post('/password', { password: 'new' })).statusCode).toBe(401)
  await here.post('/begin', { user: 'ada' })
  await phone.post('/begin', { user: 'ada' })
  await bob.post('/begin', { user: 'bob' })
  const stolen = here.copy()
  expect((await here.post('/password', { password: 'new' })).body).toBe('logged out elsewhere: 1')
  expect(passwords.get('ada')).toBe('new')
  const seen = await Promise.all([here, phone, stolen, bob].map((each) => each.get('/me')))
  expect(seen.map(({ body }) => body)).toEqual(['ada', 'nobody', 'nobody', 'bob'])
})

test('another serializer reads what was stored before, and the release before reads what it writes', async () => {
  const folder = dataFolder('recipes')
  onTestFinished(() => removeFolder(folder))
  const path = join(folder, 'sessions.sqlite')
  const [json, cautious, rich] = [undefined, cautiousSerializer, richSerializer].map(
    (serializer) => new SqliteStore({ path, serializer }),
  ) as [SqliteStore, SqliteStore, SqliteStore]
  await json.set('a', { user: 'ada' })
  for (const store of [cautious, rich]) expect((await store.get('a'))?.user).toBe('ada')
  const since = new Date(0)
  await rich.set('b', { since, total: 10n, seen: new Set(['x']) })
  for (const store of [cautious, rich]) {
    expect(await store.get('b')).toMatchObject({ since, total: 10n, seen: new Set(['x']) })
  }
  expect(await json.get('b')).toBe(null)
  await cautious.set('c', { user: 'eve' })
  expect((await json.get('c'))?.user).toBe('eve')
  // A change keeps what is rich in a session.
  const loaded = await rich.get('b')
  await rich.set('b', { ...loaded, user: 'ada' })
  expect(await rich.get('b')).toMatchObject({ since, total: 10n, user: 'ada' })
  await Promise.all([json, cautious, rich].map((store) => store.close()))
})

function open(): FastifyInstance {
  const app = Fastify()
  onTestFinished(() => app.close())
  return app
}

/** Log-in and log-out, and what the session holds. */
function addMe(app: FastifyInstance): void {
  app.after(() => {
    app.post<{ Body: { user: string } }>('/begin', async (request) => {
      await logIn(request, { user: request.body.user })
      return 'ok'
    })
    app.post('/end', async (request, reply) => {
      await logOut(request, reply)
      return 'ok'
    })
    app.get('/me', async ({ session }) => session.user ?? 'nobody')
    app.post('/change', async ({ session }) => {
      session.visits = (session.visits ?? 0) + 1
      return 'ok'
    })
    app.get('/visits', async ({ session }) => `${session.visits ?? 0}`)
  })
}

function connect(app: FastifyInstance, path: string, visitor?: Visitor): WebSocket {
  const { port } = app.server.address() as AddressInfo
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers: { cookie: visitor?.header ?? '' } })
  socket.on('error', () => {}) // the refused ones
  onTestFinished(() => socket.close())
  return socket
}

async function codeAtClose(socket: WebSocket): Promise<number> {
  const [code] = await once(socket, 'close')
  return code
}

async function openRedis(): Promise<{ server: RedisServer; client: Redis }> {
  const server = await RedisServer.start()
  onTestFinished(() => server.stop())
  const client = new Redis(server.url)
  onTestFinished(() => client.disconnect())
  return { server, client }
}

/** Of a program that nobody tests. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS, VITEST, NODE_TEST_CONTEXT, ...rest } = process.env
  return { ...rest, NODE_ENV: 'test' }
}

/** A key service without a network: the key that opens the others never leaves it. */
class LocalKeyService implements KeyService {
  readonly #key = randomBytes(32)
  asked = 0

  async encrypt(plain: Uint8Array): Promise<Uint8Array> {
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce)
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }

  async decrypt(wrapped: Uint8Array): Promise<Uint8Array> {
    this.asked += 1
    const bytes = Buffer.from(wrapped)
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, 12)).setAuthTag(bytes.subarray(-16))
    return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()])
  }
}
