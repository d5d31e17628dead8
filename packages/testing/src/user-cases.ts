import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { inspect } from 'node:util'
import type { FastifyInstance } from 'fastify'
import { Browser, buildApp, Gate, type PluginStore } from './plugin-cases.ts'

/** A store that knows sessions by their user. */
export type UserStore = PluginStore & {
  handleOf(sessionId: string): string
  listByUser(userId: string): Promise<Array<{ handle: string }>>
  destroyByHandle(handle: string): Promise<boolean>
  destroyByUser(userId: string, options: { except: string }): Promise<number>
}

/** A promise about the sessions of a user, shown through two applications on the same data. */
export interface UserCase {
  name: string
  /** @param openStores two stores on the same fresh data, as two processes have them; the case closes them */
  run(openStores: () => Pair<UserStore> | Promise<Pair<UserStore>>): Promise<void>
}

type Pair<T> = [T, T]

/** The option `userOf` of the stores for these cases. */
export const userOf = ({ user }: { user?: string }): string | undefined => user

/** What stores for these cases are opened with. They ask for much at once, and a busy machine is no outage. */
export const userOptions = { userOf, timeout: 20_000 }

/** How often the log-out meets requests in the tests. */
const ROUNDS = 3
/** The sessions that are logged out at once, and the requests under way on each of them. */
const SESSIONS = 10
const REQUESTS = 32

export const userCases: UserCase[] = [
  userCase(
    'one of two browsers of a user lists both and ends the other, whose next request is nobody’s',
    async ({ apps }) => {
      const [here, there] = await logIn(apps)
      const { own, handles } = (await here.get('/sessions')) as { own: string; handles: string[] }
      assert.equal(handles.length, 2)
      await here.post(`/end/${handles.find((handle) => handle !== own)}`)
      assert.deepEqual(await there.get('/me'), {})
      assert.deepEqual(await here.get('/me'), { user: 'ada' })
      assert.deepEqual(await here.get('/sessions'), { own, handles: [own] })
    },
  ),

  ...(['/slow/set/theme/dark', '/slow/me'] as const).map((path) =>
    userCase(
      `a request to ${path} that was under way when its session was ended by the other changes nothing about that`,
      async ({ apps, gate }) => {
        const [here, there] = await logIn(apps)
        const { cookie } = there
        const slow = there.request(path === '/slow/me' ? 'GET' : 'POST', path)
        await gate.entered(1)
        const { own, handles } = (await here.get('/sessions')) as { own: string; handles: string[] }
        await here.post(`/end/${handles.find((handle) => handle !== own)}`)
        gate.open()
        assert.equal((await slow).status, 200)
        for (const app of apps) assert.deepEqual(await new Browser(app, cookie).get('/me'), {})
        assert.deepEqual(await here.get('/sessions'), { own, handles: [own] })
      },
    ),
  ),

  userCase(
    `“log out everywhere else” during ${REQUESTS} requests at once on each of ${SESSIONS} sessions: none survives`,
    async ({ apps }) => {
      const addresses = apps.map((app) => app.listeningOrigin) as Pair<string>
      for (let round = 0; round < ROUNDS; round += 1) await logOutElsewhere(addresses, round)
    },
  ),
]

/**
 * One round: a user with a session here and others elsewhere logs out everywhere else, while all of them are in use.
 * @param addresses of two applications on the same data
 * @param round tells the rounds apart, and when the log-out comes among the requests
 */
export async function logOutElsewhere(addresses: Pair<string>, round: number): Promise<void> {
  const [address, other] = addresses
  const user = `user-${round}`
  const [here = '', ...elsewhere] = await Promise.all(
    Array.from({ length: SESSIONS + 1 }, async () => (await request(address, 'POST', `/login/${user}`)).cookie),
  )
  const all = [here, ...elsewhere]
  const underWay = Array.from({ length: all.length * REQUESTS }, (_, n) => [n % all.length, Math.floor(n / all.length)])
  const send = ([session = 0, n = 0]: number[]) => {
    const address = addresses[n % 2] as string
    const cookie = all[session]
    return n % 4 === 3 ? request(address, 'GET', '/me', cookie) : request(address, 'POST', `/set/key${n}/1`, cookie)
  }
  const before = Math.floor(((round % 8) / 8) * underWay.length)
  const requests = underWay.slice(0, before).map(send)
  const logOut = request(other, 'POST', '/log-out-elsewhere', here)
  requests.push(...underWay.slice(before).map(send))
  const answers = Promise.allSettled(requests)

  assert.deepEqual((await logOut).body, { ended: SESSIONS })
  await expectGone()
  for (const answer of await answers) {
    const { status, body } = answer.status === 'fulfilled' ? answer.value : { status: 0, body: answer.reason }
    assert.equal(status, 200, inspect(body))
  }
  await expectGone()
  const kept = Array.from({ length: REQUESTS }, (_, n) => n).filter((n) => n % 4 !== 3)
  const expected = { user, ...Object.fromEntries(kept.map((n) => [`key${n}`, '1'])) }
  assert.deepEqual((await request(other, 'GET', '/me', here)).body, expected)

  async function expectGone(): Promise<void> {
    const answers = elsewhere.map((cookie, n) => request(addresses[n % 2] as string, 'GET', '/me', cookie))
    for (const { body } of await Promise.all(answers)) assert.deepEqual(body, {})
    const { own, handles } = (await request(address, 'GET', '/sessions', here)).body as {
      own: string
      handles: string[]
    }
    assert.deepEqual(handles, [own])
  }
}

/**
 * The application of the plugin's cases with a page on which users see their sessions and end them. Between the load and the
 * save of a request pass some turns of the event loop, as where handlers have something else to wait for.
 */
export function buildUserApp(store: UserStore, gate?: Gate): FastifyInstance {
  const app = buildApp(store, gate)
  app.addHook('preHandler', async () => {
    for (let turns = Math.random() * 20; turns > 0; turns -= 1) await nextTurn()
  })
  const loggedIn = ({ session }: { session: object }) => (session as { user: string }).user
  app.get('/sessions', async (request) => {
    const own = store.handleOf(request.session.sessionId)
    const sessions = await store.listByUser(loggedIn(request))
    return { own, handles: sessions.map(({ handle }) => handle) }
  })
  app.post<{ Params: { handle: string } }>('/end/:handle', async (request) => {
    return { ended: await store.destroyByHandle(request.params.handle) }
  })
  app.post('/log-out-elsewhere', async (request) => {
    return { ended: await store.destroyByUser(loggedIn(request), { except: request.session.sessionId }) }
  })
  return app
}

function userCase(name: string, act: (scene: { apps: Pair<FastifyInstance>; gate: Gate }) => Promise<void>): UserCase {
  return {
    name,
    async run(openStores) {
      const gate = new Gate()
      const [one, two] = await openStores()
      const apps: Pair<FastifyInstance> = [buildUserApp(one, gate), buildUserApp(two, gate)]
      try {
        await Promise.all(apps.map((app) => app.listen({ host: '127.0.0.1', port: 0 })))
        await act({ apps, gate })
      } finally {
        gate.open()
        await Promise.all(apps.map((app) => app.close()))
      }
    },
  }
}

/** Two browsers, each at an application of its own, logged in as one user. */
async function logIn(apps: Pair<FastifyInstance>): Promise<Pair<Browser>> {
  const browsers = apps.map((app) => new Browser(app)) as Pair<Browser>
  for (const browser of browsers) await browser.post('/login/ada')
  return browsers
}

interface Answer {
  status: number
  /** As JSON where it is that. */
  body: unknown
  /** The session cookie that was set, if any, as a browser sends it. */
  cookie: string
}

async function request(address: string, method: string, path: string, cookie = ''): Promise<Answer> {
  const response = await fetch(address + path, { method, headers: cookie ? { cookie } : {} })
  const text = await response.text()
  const [set = ''] = response.headers.getSetCookie()
  const isJson = response.headers.get('content-type')?.startsWith('application/json')
  return { status: response.status, body: isJson ? JSON.parse(text) : text, cookie: set.split(';', 1)[0] ?? '' }
}
