import { randomBytes, randomUUID } from 'node:crypto'
import fastifyCookie from '@fastify/cookie'
import fastifySession, { type SessionStore } from '@fastify/session'
import Fastify, { type FastifyInstance } from 'fastify'

/** A store, and what it does for "log out everywhere"; undefined where it cannot. */
export interface TriedStore {
  store: SessionStore
  destroyByUser: ((userId: string) => Promise<unknown>) | undefined
}

/**
 * A small application on a store, with requests that wait until they are told to go on: so that a race is lost or won each
 * time, and not now and then.
 */
export class TrialApp {
  /** A user that only this trial knows. */
  readonly userId = `trial ${randomUUID()}`
  /** What was sent and what came of it, in the order of the answers. */
  readonly log: string[] = []
  readonly #app: FastifyInstance
  readonly #waiting: Array<() => void> = []
  #onWaiting = () => {}

  constructor({ store, destroyByUser }: TriedStore) {
    const app = Fastify()
    this.#app = app
    app.register(fastifyCookie)
    app.register(fastifySession, {
      store,
      secret: randomBytes(32).toString('base64url'),
      saveUninitialized: false,
      cookie: { secure: false, maxAge: 60_000 },
    })
    app.post('/log-in', async ({ session }) => {
      session.userId = this.userId
      return 'logged in'
    })
    app.get('/session', async ({ session }) => {
      const { cookie: _, userId, ...fields } = JSON.parse(JSON.stringify(session))
      return userId ? { loggedIn: true, keys: Object.keys(fields).sort() } : { loggedIn: false, keys: [] }
    })
    // A request that has loaded its session, takes its time, and saves it
    app.post<{ Params: { key: string } }>('/slow/:key', async ({ session, params }) => {
      await this.#wait()
      session.set(params.key as never, true as never)
      return 'saved'
    })
    app.post('/log-out', async ({ session }) => {
      await session.destroy()
      return 'logged out'
    })
    app.post('/log-out-everywhere', async () => {
      await destroyByUser?.(this.userId)
      return 'logged out everywhere'
    })
  }

  /** A browser that has logged in. */
  async browser(): Promise<TrialBrowser> {
    const answer = await this.#app.inject({ method: 'POST', url: '/log-in' })
    const cookie = answer.cookies.map(({ name, value }) => `${name}=${encodeURIComponent(value)}`).join('; ')
    this.#note('POST /log-in', answer)
    return {
      post: async (url) => this.#note(`POST ${url}`, await this.#send('POST', url, cookie)),
      session: async () => {
        const answer = await this.#send('GET', '/session', cookie)
        this.#note('GET /session', answer)
        if (answer.statusCode !== 200) throw new Error(`GET /session was answered with ${answer.statusCode}`)
        return answer.json<SessionSeen>()
      },
    }
  }

  /** Resolves when so many slow requests wait, each with its session loaded. */
  async haveLoaded(count: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onWaiting = () => {
        if (this.#waiting.length >= count) resolve()
      }
      this.#onWaiting()
    })
    this.log.push(count === 1 ? 'it has loaded the session and waits' : `${count} have loaded their session and wait`)
  }

  goOn(): void {
    this.log.push('it goes on')
    for (const go of this.#waiting.splice(0)) go()
  }

  async close(): Promise<void> {
    for (const go of this.#waiting.splice(0)) go()
    await this.#app.close()
  }

  async #wait(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve)
      this.#onWaiting()
    })
  }

  #send(method: 'GET' | 'POST', url: string, cookie: string) {
    return this.#app.inject({ method, url, headers: { cookie } })
  }

  #note(request: string, answer: { statusCode: number; body: string }): void {
    this.log.push(`${request} → ${answer.statusCode} ${answer.body}`)
  }
}

export interface TrialBrowser {
  post(url: string): Promise<void>
  session(): Promise<SessionSeen>
}

export interface SessionSeen {
  loggedIn: boolean
  /** What the session holds besides the user. */
  keys: string[]
}
