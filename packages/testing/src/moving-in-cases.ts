import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import expressSession, { type Store } from 'express-session'
import { buildExpressApp } from './express-cases.ts'
import { buildApp, type PluginStore } from './plugin-cases.ts'
import { until } from './process.ts'

/** A store from another package: with `get`, `set` and `destroy` for either plugin. */
export type OldStore = Store

/** What an application moves from and to, on fresh data. */
export interface Move {
  /**
   * The store before the change, as its package makes it. Called again for each process, on the same data.
   * @param plugin what its package asks for, when it makes its store from the plugin's own class
   */
  openOld(plugin: { Store: typeof Store }): OldStore
  /** The store after it. The case closes it. */
  openNew(options: { adopt: OldStore; keepOld?: boolean }): PluginStore
  /** How many sessions the old store's server has of it. */
  countOld(): number | Promise<number>
}

export interface MovingInCase {
  name: string
  run(makeMove: () => Move | Promise<Move>): Promise<void>
}

/** Makes a store for express-session of one for `@fastify/session`, as `@session-stores/core/express` does. */
type ToExpress = (StoreClass: typeof Store, store: never) => Store

/** An application with people logged in is given another store, by the documented change. */
export function movingInCases(toExpress: ToExpress): MovingInCase[] {
  return frameworks(toExpress).flatMap((framework) => [
    movingInCase(
      `${framework.name}: nobody is logged out, every log-out holds, nothing is lost, and the old store ends up empty`,
      framework,
      switchOver,
    ),
    movingInCase(
      `${framework.name}, with keepOld: processes with either store serve the same users`,
      framework,
      rollOut,
    ),
  ])
}

const USERS = 100
/** How many of them log out before the change, and as many after it. */
const LEAVING = 15
/** Where both stores are in use. */
const FEWER_USERS = 40

/** The application ends and starts again with the new store, while its users go on. */
async function switchOver({ move, framework }: Scene): Promise<void> {
  const before = await framework.serveOld(move)
  const users = await logInAll(before, USERS)
  assert.equal(await move.countOld(), USERS)
  let server: Server | undefined = before
  let restart: (server: Server) => void = () => {}
  const restarted = new Promise<Server>((resolve) => {
    restart = resolve
  })
  const underWay = new Set<Promise<void>>()
  const goingOn = users.map(async (user) => {
    while (!user.hasLeft) {
      const change = user.change(server ?? (await restarted))
      underWay.add(change)
      await change
      underWay.delete(change)
    }
  })
  const [early, late, staying] = [users.slice(0, LEAVING), users.slice(LEAVING, 2 * LEAVING), users.slice(2 * LEAVING)]
  await until('each has changed the session', () => users.every(({ changes }) => changes > 0))
  for (const user of early) user.hasLeft = true
  await Promise.all(goingOn.slice(0, LEAVING)) // the old stores let a change that is under way undo a log-out
  await Promise.all(early.map((user) => user.logOut(before)))

  server = undefined
  await Promise.all(underWay)
  await before.close()
  server = await framework.serveNew(move, {})
  restart(server)
  const after = server
  const remaining = [...late, ...staying]
  const changes = remaining.map((user) => user.changes)
  await until('each has changed it again', () => remaining.every((user, n) => user.changes > (changes[n] as number)))
  await Promise.all(late.map((user) => user.logOut(after))) // while changes of theirs are under way
  for (const user of staying) user.hasLeft = true
  await Promise.all(goingOn)

  await seenBy(after, [...early, ...late], () => ({}))
  await seenBy(after, staying, contents)
  assert.equal(await move.countOld(), 0)
  await after.close()
}

/** One process after the other is given the new store; until the last has it, a load balancer sends requests to either. */
async function rollOut({ move, framework }: Scene): Promise<void> {
  const old = await framework.serveOld(move)
  const users = await logInAll(old, FEWER_USERS)
  const fresh = await framework.serveNew(move, { keepOld: true })
  const [moving, waiting] = [users.slice(0, FEWER_USERS / 2), users.slice(FEWER_USERS / 2)]
  const leaving = [...moving.slice(0, LEAVING), ...waiting.slice(0, LEAVING)]

  // Some have come to the new process, and go on changing things there; wherever they are looked at, they are logged in.
  for (let n = 0; n < 2; n += 1) {
    await Promise.all([...moving.map((user) => user.change(fresh)), ...waiting.map((user) => user.change(old))])
    for (const user of moving) assert.equal((await user.look(old)).user, user.name)
  }
  await seenBy(fresh, moving, contents)
  await seenBy(old, waiting, contents)
  await seenBy(old, moving, ({ name }) => ({ user: name, theme: 'dark' })) // what it does not hold: changes made elsewhere

  await Promise.all(leaving.map((user) => user.logOut(fresh)))
  for (const server of [old, fresh]) await seenBy(server, leaving, () => ({}))
  await old.close()
  await seenBy(
    fresh,
    users.filter((user) => !leaving.includes(user)),
    contents,
  )
  assert.equal(await move.countOld(), FEWER_USERS - leaving.length)
  await fresh.close()
}

interface Server {
  address: string
  close(): Promise<unknown>
}

interface Framework {
  name: string
  serveOld(move: Move): Promise<Server>
  serveNew(move: Move, options: { keepOld?: boolean }): Promise<Server>
}

interface Scene {
  move: Move
  framework: Framework
}

function movingInCase(name: string, framework: Framework, act: (scene: Scene) => Promise<void>): MovingInCase {
  return {
    name,
    async run(makeMove) {
      await act({ move: await makeMove(), framework })
    },
  }
}

function frameworks(toExpress: ToExpress): Framework[] {
  // The plugin has a class to extend, which its types do not tell of.
  const fastify = createRequire(import.meta.url)('@fastify/session') as { Store: typeof Store }
  return [
    {
      name: 'behind @fastify/session',
      serveOld: (move) => serveFastify(Object.assign(move.openOld(fastify) as never, { close: () => {} })),
      serveNew: (move, options) => serveFastify(move.openNew({ adopt: move.openOld(fastify), ...options })),
    },
    {
      name: 'behind express-session',
      serveOld: (move) => serveExpress(move.openOld(expressSession)),
      async serveNew(move, options) {
        const store = move.openNew({ adopt: move.openOld(expressSession), ...options })
        const server = await serveExpress(toExpress(expressSession.Store, store as never))
        const close = async () => {
          await server.close()
          await store.close()
        }
        return { ...server, close }
      },
    },
  ]
}

async function serveFastify(store: Parameters<typeof buildApp>[0]): Promise<Server> {
  const app = buildApp(store)
  return { address: await app.listen({ host: '127.0.0.1', port: 0 }), close: () => app.close() }
}

async function serveExpress(store: Store): Promise<Server> {
  const server = buildExpressApp(store).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}

/** Someone who is logged in and uses the application. */
class User {
  readonly name: string
  readonly cookie: string
  /** How often the session was changed, as its answers said. */
  changes = 0
  hasLeft = false

  constructor(name: string, cookie: string) {
    this.name = name
    this.cookie = cookie
  }

  async change({ address }: Server): Promise<void> {
    const next = this.changes + 1
    await send(`${address}/set/changes/${next}`, 'POST', this.cookie)
    this.changes = next
  }

  async look({ address }: Server): Promise<Record<string, unknown>> {
    return JSON.parse((await send(`${address}/me`, 'GET', this.cookie)).text)
  }

  async logOut({ address }: Server): Promise<void> {
    this.hasLeft = true
    await send(`${address}/logout`, 'POST', this.cookie)
  }
}

/** Resolves at the end of the answer: express-session sends its headers before the session is saved. */
async function send(url: string, method: string, cookie = ''): Promise<{ headers: Headers; text: string }> {
  const answer = await fetch(url, { method, headers: { cookie } })
  const text = await answer.text()
  assert.equal(answer.status, 200, `${method} ${url}: ${text}`)
  return { headers: answer.headers, text }
}

async function logInAll(server: Server, count: number): Promise<User[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const name = `user-${n}`
      const answer = await send(`${server.address}/login/${name}`, 'POST')
      const [line = ''] = answer.headers.getSetCookie()
      const user = new User(name, line.split(';', 1)[0] as string)
      await send(`${server.address}/set/theme/dark`, 'POST', user.cookie)
      return user
    }),
  )
}

/** What a user's session holds. */
function contents({ name, changes }: User): object {
  return { user: name, theme: 'dark', ...(changes > 0 && { changes: `${changes}` }) }
}

async function seenBy(server: Server, users: User[], expected: (user: User) => object): Promise<void> {
  const seen = await Promise.all(users.map((user) => user.look(server)))
  assert.deepEqual(seen, users.map(expected))
}
