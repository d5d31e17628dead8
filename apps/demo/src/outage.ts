import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import fastifyCookie from '@fastify/cookie'
import { logIn, logOut, sessions } from '@session-stores/fastify'
import Fastify, { type FastifyInstance } from 'fastify'
import type { OwnServer, SessionStore } from './stores/index.ts'

/** How often the session is asked for, in ms. */
const EVERY = 100
/** How many answers come before the outage, so that there is something to compare with. */
const ANSWERS_BEFORE = 4
/** How long is looked on after it, in ms. */
const AFTER = 2000

/** Who asks. */
const USER = 'outage'

export type Break = 'freeze' | 'kill'

/** One request of somebody who is logged in, who asks again and again. */
export interface Probe {
  /** When it was sent, in ms since the outage was asked for. */
  at: number
  /** How long its answer took, in ms. */
  took: number
  /** Undefined while there is no answer. */
  status: number | undefined
  /** Whether the session was there. */
  isLoggedIn: boolean
}

export interface Happened {
  /** In ms since the outage was asked for. */
  at: number
  what: string
}

/** Breaks the demo's own server on purpose, and notes what that means for somebody who goes on using the demo. */
export class Outage {
  readonly #server: OwnServer
  readonly #probe: FastifyInstance
  #begun = 0
  #probes: Probe[] = []
  #happened: Happened[] = []
  #cookie = ''
  #timer: NodeJS.Timeout | undefined
  #longest: NodeJS.Timeout | undefined
  #after: NodeJS.Timeout | undefined
  #state: 'none' | 'broken' | 'returning' = 'none'
  readonly #longestOutage: number

  /** @param longestOutage after how many ms the server is brought back in any case */
  constructor(store: SessionStore, server: OwnServer, longestOutage: number) {
    this.#server = server
    this.#longestOutage = longestOutage
    this.#probe = probeApp(store)
  }

  /** Whether the session is being asked for, and so the time line grows. */
  get isRunning(): boolean {
    return this.#timer !== undefined
  }

  /** In the order in which they were sent. */
  get probes(): Probe[] {
    const now = this.#now()
    return this.#probes.map((probe) => (probe.status === undefined ? { ...probe, took: now - probe.at } : probe))
  }

  get happened(): Happened[] {
    return this.#happened
  }

  /** Logs somebody in, and then breaks the server. Does nothing while an outage is under way. */
  async begin(how: Break): Promise<void> {
    if (this.#state !== 'none' || this.isRunning) return
    this.#state = 'broken'
    this.#probes = []
    this.#happened = []
    const { cookies } = await this.#probe.inject({ method: 'POST', url: '/' })
    this.#cookie = cookies.map(({ name, value }) => `${name}=${encodeURIComponent(value)}`).join('; ')
    this.#begun = performance.now()
    this.#timer = setInterval(() => void this.#ask(), EVERY)
    while (this.#probes.filter(({ status }) => status !== undefined).length < ANSWERS_BEFORE) await wait(EVERY)
    this.#note(
      how === 'freeze' ? 'The server is frozen: it keeps its connections and answers nothing' : 'The server is killed',
    )
    this.#longest = setTimeout(() => void this.end(), this.#longestOutage)
    if (how === 'freeze') this.#server.freeze()
    else await this.#server.kill()
  }

  /** Brings the server back, and looks on for a while. */
  async end(): Promise<void> {
    if (this.#state !== 'broken') return
    this.#state = 'returning'
    clearTimeout(this.#longest)
    try {
      await this.#server.bringBack()
      this.#note('The server is back')
    } catch (error) {
      this.#note(`The server cannot be brought back: ${(error as Error).message}`)
    }
    this.#state = 'none'
    this.#after = setTimeout(() => {
      this.#stopAsking()
      void this.#probe.inject({ method: 'DELETE', url: '/', headers: { cookie: this.#cookie } })
    }, AFTER)
  }

  async close(): Promise<void> {
    clearTimeout(this.#longest)
    clearTimeout(this.#after)
    this.#stopAsking()
    if (this.#state === 'broken') await this.#server.bringBack()
    await this.#probe.close()
  }

  #stopAsking(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  async #ask(): Promise<void> {
    const probe: Probe = { at: this.#now(), took: 0, status: undefined, isLoggedIn: false }
    this.#probes.push(probe)
    const answer = await this.#probe.inject({ method: 'GET', url: '/', headers: { cookie: this.#cookie } })
    probe.took = this.#now() - probe.at
    probe.status = answer.statusCode
    probe.isLoggedIn = answer.body === 'logged in'
  }

  #note(what: string): void {
    this.#happened.push({ at: this.#now(), what })
  }

  #now(): number {
    return performance.now() - this.#begun
  }
}

/** An application on the same store: each request loads the session, says whether it is there, and changes it. */
function probeApp(store: SessionStore): FastifyInstance {
  const app = Fastify()
  app.register(fastifyCookie)
  app.register(sessions, { store, secret: randomBytes(32).toString('base64url'), closeStore: false })
  app.post('/', async (request) => {
    await logIn(request, { userId: USER })
    return 'logged in'
  })
  app.delete('/', async (request, reply) => {
    await logOut(request, reply)
    return 'logged out'
  })
  app.get('/', async ({ session }) => {
    if (session.userId === undefined) return 'logged out'
    session.note = `asked at ${Date.now()}`
    return 'logged in'
  })
  return app
}
