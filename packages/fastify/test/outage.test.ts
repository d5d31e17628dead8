import { RedisStore } from '@session-stores/redis'
import { Gate, until } from '@session-stores/testing'
import { RedisServer } from '@session-stores/testing/redis'
import type { FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import { describe, expect, test } from 'vitest'
import { logIn, logOut, logOutOthers } from '../src/index.ts'
import { type Browser, Site } from './setup.ts'

describe.skipIf(process.env.SKIP_REDIS === '1')('while Redis does not answer', () => {
  test('requests are 503 by the application’s own error page, and nobody is logged out', async () => {
    await using scene = await Scene.open()
    const browser = await scene.loggedIn()
    scene.server.pause()
    for (const path of ['/user', '/visit']) expect(await answerTo(browser, path)).toEqual([503, 'back in a moment'])
    await scene.resume(browser)
    expect(await answerTo(browser, '/user')).toEqual([200, 'ada'])
  })

  test('a log-in and a log-out are 503, and did not happen', async () => {
    await using scene = await Scene.open()
    const browser = await scene.loggedIn()
    const visitor = scene.site.browser()
    scene.server.pause()
    expect(await answerTo(visitor, '/log-in')).toEqual([503, 'back in a moment'])
    expect(await answerTo(browser, '/log-out')).toEqual([503, 'back in a moment'])
    expect(await visitor.cookie()).toBe('')
    await scene.resume(browser)
    expect(await answerTo(browser, '/user')).toEqual([200, 'ada'])
  })

  test('logging out elsewhere is 503, and did not happen', async () => {
    await using scene = await Scene.open()
    const [browser, other] = [await scene.loggedIn(), await scene.loggedIn()]
    const answer = answerTo(browser, '/slow-log-out-others')
    await scene.gate.entered(1)
    scene.server.pause()
    scene.gate.open()
    expect(await answer).toEqual([503, 'back in a moment'])
    await scene.resume(browser)
    for (const each of [browser, other]) expect(await answerTo(each, '/user')).toEqual([200, 'ada'])
  })

  test('a request that had begun loses what it changed, and saves nothing empty', async () => {
    for (const path of ['/slow-visit', '/slow-reload', '/slow-reload-wrapped']) {
      await using scene = await Scene.open()
      const browser = await scene.loggedIn()
      const answer = answerTo(browser, path)
      await scene.gate.entered(1)
      scene.server.pause()
      scene.gate.open()
      expect(await answer).toEqual([503, 'back in a moment'])
      await scene.resume(browser)
      expect(await answerTo(browser, '/user')).toEqual([200, 'ada'])
    }
  })

  test('an error page that begins a session of its own is 503 too, and the server goes on', async () => {
    await using scene = await Scene.open()
    const visitor = scene.site.browser()
    scene.server.pause()
    expect((await answerTo(visitor, '/missing'))[0]).toBe(503)
    await scene.resume(visitor)
    expect(await answerTo(visitor, '/missing')).toEqual([404, 'not here'])
  })
})

/** A site on a Redis of its own. */
class Scene implements AsyncDisposable {
  static async open(): Promise<Scene> {
    const server = await RedisServer.start()
    const client = new Redis(server.url)
    client.on('error', () => {}) // requests tell of it
    const gate = new Gate()
    const store = new RedisStore({ client, timeout: 300, userOf: ({ user }) => user })
    const site = await Site.open({ store }, (app) => routes(app, gate))
    return new Scene(server, client, site, gate)
  }

  readonly server: RedisServer
  readonly site: Site
  readonly gate: Gate
  readonly #client: Redis

  private constructor(server: RedisServer, client: Redis, site: Site, gate: Gate) {
    this.server = server
    this.site = site
    this.gate = gate
    this.#client = client
  }

  async loggedIn(): Promise<Browser> {
    const browser = this.site.browser()
    expect(await answerTo(browser, '/log-in')).toEqual([200, 'ok'])
    return browser
  }

  async resume(browser: Browser): Promise<void> {
    this.server.resume()
    await until('sessions are back', async () => (await browser.post('/ping')).status === 200)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.site[Symbol.asyncDispose]()
    this.#client.disconnect()
    await this.server.stop()
  }
}

async function answerTo(browser: Browser, path: string): Promise<[number, string]> {
  const { status, body } = await browser.post(path)
  return [status, body]
}

function routes(app: FastifyInstance, gate: Gate): void {
  app.setErrorHandler<Error & { statusCode?: number }>(async (error, request, reply) => {
    // Error pages look at the session as other pages do
    const user = request.session.user
    const status = error.statusCode ?? 500
    reply.code(status).send(status === 503 && user === undefined ? 'back in a moment' : error.message)
  })
  app.setNotFoundHandler(async (request, reply) => {
    request.session.visits = 1
    return reply.code(404).send('not here')
  })
  app.post('/ping', async ({ session }) => session.user ?? '')
  app.post('/user', async ({ session }) => session.user ?? '')
  app.post('/visit', async ({ session }) => {
    session.visits = (session.visits ?? 0) + 1
    return 'ok'
  })
  app.post('/slow-visit', async ({ session }) => {
    await gate.pass()
    session.visits = (session.visits ?? 0) + 1
    return 'ok'
  })
  app.post('/slow-reload', async ({ session }) => {
    await gate.pass()
    await session.reload()
    return 'ok'
  })
  app.post('/slow-reload-wrapped', async ({ session }) => {
    await gate.pass()
    await session.reload().catch((cause) => {
      throw Object.assign(new Error('cannot look again', { cause }), { statusCode: 503 })
    })
    return 'ok'
  })
  app.post('/slow-log-out-others', async (request) => {
    await gate.pass()
    return logOutOthers(request)
  })
  app.post('/log-in', async (request) => {
    await logIn(request, { user: 'ada' })
    return 'ok'
  })
  app.post('/log-out', async (request, reply) => {
    await logOut(request, reply)
    return 'ok'
  })
}
