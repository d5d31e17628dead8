import { EventEmitter, once } from 'node:events'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import type { SessionStore as PluginStore } from '@fastify/session'
import { expressStore } from '@session-stores/core/express'
import { buildApp } from '@session-stores/testing'
import { buildExpressApp } from '@session-stores/testing/express-cases'
import Database from 'better-sqlite3'
import expressSession from 'express-session'
import { expect, onTestFinished, test } from 'vitest'
import { SqliteStore } from '../src/index.ts'
import { newFiles } from './folder.ts'
import { request } from './requests.ts'

const newFile = newFiles('sqlite-moving-in')
const USERS = 100
/** How many of the users log out after the change. */
const LEAVING = 25

/** The store that is moved out of, as it is on npm: made from whatever class its plugin wants stores to extend. */
type MakeOldClass = (plugin: { Store: unknown }) => new (options: { client: Database.Database }) => OldStore
type OldStore = PluginStore & { close?: undefined }
const makeOldClass = createRequire(import.meta.url)('better-sqlite3-session-store') as MakeOldClass

interface Server {
  address: string
  close(): Promise<unknown>
}

interface Framework {
  makeOldStore(client: Database.Database): OldStore
  serveOld(store: OldStore): Promise<Server>
  serveNew(store: SqliteStore): Promise<Server>
}

const frameworks: Record<string, Framework> = {
  '@fastify/session': {
    makeOldStore: (client) => new (makeOldClass({ Store: EventEmitter }))({ client }),
    serveOld: (store) => serveFastify(Object.assign(store, { close: () => {} })),
    serveNew: (store) => serveFastify(store),
  },
  'express-session': {
    makeOldStore: (client) => new (makeOldClass(expressSession))({ client }),
    serveOld: (store) => serveExpress(store as never),
    serveNew: (store) => serveExpress(expressStore(expressSession.Store, store) as never),
  },
}

test.each(Object.entries(frameworks))(
  'from better-sqlite3-session-store behind %s: nobody is logged out, log-outs hold, nothing is lost, and it ends up empty',
  async (_, { makeOldStore, serveOld, serveNew }) => {
    const client = new Database(newFile())
    onTestFinished(() => {
      client.close()
    })
    const before = await serveOld(makeOldStore(client))
    const users = await Promise.all(Array.from({ length: USERS }, (_, n) => logIn(before, `user-${n}`)))
    expect(storedIn(client)).toBe(USERS)

    // Each goes on changing a session of theirs, while the application is ended and started again with the new store.
    let server: Promise<Server> = Promise.resolve(before)
    let isOver = false
    const underWay = new Set<Promise<unknown>>()
    const visits = users.map(async (user) => {
      while (!isOver && !user.hasLeft) {
        const current = await server
        const visit = user.visit(current)
        underWay.add(visit)
        await visit
        underWay.delete(visit)
      }
    })
    const total = () => users.reduce((sum, { count }) => sum + count, 0)
    await reached(() => total() > 2 * USERS)
    let start: (server: Server) => void = () => {}
    server = new Promise((resolve) => {
      start = resolve
    })
    await Promise.all(underWay)
    await before.close()

    const store = new SqliteStore({ path: newFile(), adopt: makeOldStore(client) })
    const after = await serveNew(store)
    start(after)
    const counted = total()
    await reached(() => total() > counted + 2 * USERS)
    const leaving = users.slice(0, LEAVING)
    await Promise.all(leaving.map((user) => user.logOut(after)))
    isOver = true
    await Promise.all(visits)

    for (const user of users) {
      const { status, body } = await request(after.address, 'GET', '/me', user.cookie)
      expect(status).toBe(200)
      expect(body).toEqual(leaving.includes(user) ? {} : { user: user.name, theme: 'dark', count: `${user.count}` })
    }
    expect(storedIn(client)).toBe(0)
    await after.close()
    await store.close()
  },
)

/** Someone who is logged in and uses the application. */
class User {
  readonly name: string
  readonly cookie: string
  /** How often the session was changed. */
  count = 0
  hasLeft = false

  constructor(name: string, cookie: string) {
    this.name = name
    this.cookie = cookie
  }

  async visit(server: Server): Promise<void> {
    const next = this.count + 1
    const answer = await request(server.address, 'POST', `/set/count/${next}`, this.cookie)
    expect(answer.status).toBe(200)
    this.count = next
  }

  async logOut(server: Server): Promise<void> {
    this.hasLeft = true
    expect((await request(server.address, 'POST', '/logout', this.cookie)).status).toBe(200)
  }
}

async function logIn(server: Server, name: string): Promise<User> {
  const { cookie = '' } = await request(server.address, 'POST', `/login/${name}`)
  await request(server.address, 'POST', '/set/theme/dark', cookie)
  return new User(name, cookie)
}

function storedIn(client: Database.Database): number {
  return (client.prepare('SELECT count(*) AS n FROM sessions').get() as { n: number }).n
}

async function reached(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

async function serveFastify(store: Parameters<typeof buildApp>[0]): Promise<Server> {
  const app = buildApp(store)
  return { address: await app.listen({ host: '127.0.0.1', port: 0 }), close: () => app.close() }
}

async function serveExpress(store: Parameters<typeof buildExpressApp>[0]): Promise<Server> {
  const server = buildExpressApp(store).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}
