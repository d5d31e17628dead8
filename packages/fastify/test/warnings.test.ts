import fastifySession from '@fastify/session'
import { MemoryStore } from '@session-stores/core'
import { SqliteStore } from '@session-stores/sqlite'
import Fastify, { type FastifyServerOptions } from 'fastify'
import { generate } from 'selfsigned'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type SessionsOptions, sessions } from '../src/index.ts'
import { SECRET } from './setup.ts'

let warnings: Array<{ code: string | undefined; text: string }>

beforeEach(() => {
  warnings = []
  vi.stubEnv('NODE_ENV', 'production')
  vi.spyOn(process, 'emitWarning').mockImplementation(((text: string, { code }: { code?: string }) => {
    warnings.push({ code, text })
  }) as typeof process.emitWarning)
})

afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

describe('at start there is a warning, which says how to end it, of', () => {
  test('a store in memory', async () => {
    await start({ store: new MemoryStore() })
    expect(warnings).toMatchObject([{ code: 'SESSION_MEMORY_STORE' }])
    expect(warnings[0]?.text).toContain('new SqliteStore')
  })

  test('the store in memory of @fastify/session', async () => {
    await start({ store: new fastifySession.MemoryStore() as never })
    expect(warnings).toMatchObject([{ code: 'SESSION_MEMORY_STORE' }])
  })

  test('a short secret, also in a list', async () => {
    for (const secret of ['keyboard cat', [SECRET, 'keyboard cat']]) await start({ secret })
    expect(warnings).toMatchObject([{ code: 'SESSION_SHORT_SECRET' }, { code: 'SESSION_SHORT_SECRET' }])
    expect(warnings[0]?.text).toContain('randomBytes(32)')
    expect(warnings[0]?.text).not.toContain('keyboard')
  })

  test('plain http that other machines can reach', async () => {
    await start({}, {}, '0.0.0.0')
    expect(warnings).toMatchObject([{ code: 'SESSION_PLAIN_HTTP' }])
    expect(warnings[0]?.text).toContain('trustProxy')
  })
})

describe('there is none of', () => {
  test('a store that lasts, a long secret, and plain http on this machine only', async () => {
    await start()
    expect(warnings).toEqual([])
  })

  test('a site behind a proxy that is trusted', async () => {
    await start({}, { trustProxy: 'loopback' }, '0.0.0.0')
    expect(warnings).toEqual([])
  })

  test('a site on https', async () => {
    const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }])
    await start({}, { https: { key, cert } } as object, '0.0.0.0')
    expect(warnings).toEqual([])
  })

  test('a cookie that is never sent over plain http', async () => {
    await start({ cookie: { secure: true } }, {}, '0.0.0.0')
    expect(warnings).toEqual([])
  })

  test.each(['development', 'test'])('anything where NODE_ENV is %s', async (env) => {
    vi.stubEnv('NODE_ENV', env)
    await start({ store: new MemoryStore(), secret: 'keyboard cat' }, {}, '0.0.0.0')
    expect(warnings).toEqual([])
  })
})

test('a proxy that says https and is not trusted is told of once', async () => {
  await start({}, {}, '127.0.0.1', 'https')
  expect(warnings).toMatchObject([{ code: 'SESSION_UNTRUSTED_PROXY' }])
  expect(warnings[0]?.text).toContain('trustProxy')
  await start({}, { trustProxy: 'loopback' }, '127.0.0.1', 'https')
  expect(warnings).toHaveLength(1)
})

/** Starts an application, visits it twice, and closes it. */
async function start(
  options: Partial<SessionsOptions> = {},
  serverOptions: FastifyServerOptions = {},
  host = '127.0.0.1',
  protocol?: string,
): Promise<void> {
  const app = Fastify(serverOptions)
  app.register(sessions, { store: new SqliteStore({ path: ':memory:' }), secret: SECRET, ...options })
  app.register(async (scope) => {
    scope.get('/', async () => 'ok')
  })
  await app.listen({ host, port: 0 })
  const headers = protocol === undefined ? {} : { 'x-forwarded-proto': protocol }
  for (let n = 0; n < 2; n += 1) expect((await app.inject({ url: '/', headers })).statusCode).toBe(200)
  await app.close()
}
