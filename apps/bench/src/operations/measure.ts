import type { Store, StoredSession } from '../contestants/contestant.ts'
import { Cookie, sessionId, sessionOf } from '../contestants/session.ts'
import { cpuOf } from '../servers/cpu.ts'
import { Calls } from './calls.ts'

export const OPERATIONS = ['get hit', 'get miss', 'set new', 'set changed', 'set unchanged', 'destroy'] as const
export type Operation = (typeof OPERATIONS)[number]

export interface OperationJob {
  operation: Operation
  /** How many calls are under way at any time. */
  callers: number
  /** Of a session's JSON, about. */
  bytes: number
  /** How long it is measured. */
  ms: number
  /** The server whose CPU time is measured too. */
  serverPid: number | undefined
}

export interface OperationFigures {
  count: number
  perSecond: number
  /** In µs. */
  p50: number
  p99: number
  /** CPU time of this process for all operations, in µs. */
  cpu: number
  /** The same of the server. */
  serverCpu: number | undefined
}

/** How many are stored before each measurement: a multiple of every number of callers, so that each has its own. */
const SESSIONS = 512
const MAX_AGE = 60 * 60_000

/** No id is used twice: a store may remember the ids it has seen. */
let made = 0

type Done = (error?: unknown) => void

/** Measures one operation of a store. */
export async function measureOperation(store: Store, job: OperationJob): Promise<OperationFigures> {
  const { operation, callers, ms } = job
  const scene = new Scene(store, job)
  await scene.prepare()
  const calls = new Calls()
  const cpu = new Stopwatch(job.serverPid)
  globalThis.gc?.()
  while (calls.duration < ms) {
    if (operation === 'destroy') await scene.storeDoomed()
    const end = performance.now() + ms - calls.duration
    cpu.start()
    await calls.run(
      callers,
      (now) => now < end && (operation !== 'destroy' || scene.doomed.length > 0),
      scene.actions[operation],
    )
    cpu.stop()
  }
  return {
    count: calls.count,
    perSecond: calls.count / (calls.duration / 1000),
    p50: calls.percentile(0.5),
    p99: calls.percentile(0.99),
    cpu: cpu.own,
    serverCpu: cpu.server,
  }
}

/** Sessions of one store, and what callers do with them. */
class Scene {
  /** Ids of sessions that are stored, to be destroyed. */
  doomed: string[] = []
  readonly #store: Store
  readonly #callers: number
  readonly #template: Record<string, unknown>
  readonly #stored: Array<{ id: string; session: StoredSession }> = []
  /** How many sessions each caller has used. */
  readonly #used: Uint32Array

  constructor(store: Store, { callers, bytes }: OperationJob) {
    this.#store = store
    this.#callers = callers
    this.#template = sessionOf(bytes)
    this.#used = new Uint32Array(callers)
  }

  readonly actions: Record<Operation, (caller: number, done: Done) => void> = {
    'get hit': (caller, done) => {
      this.#store.get(this.#next(caller).id, (error, session) =>
        done(error ?? (session ? undefined : new Error('a stored session was not found'))),
      )
    },
    'get miss': (caller, done) => {
      this.#store.get(`${this.#next(caller).id}-not-there`, (error) => done(error))
    },
    'set new': (_, done) => {
      const { id, session } = this.#fresh()
      this.#store.set(id, session, done)
    },
    'set changed': (caller, done) => {
      const { id, session } = this.#next(caller)
      session.visits = (session.visits as number) + 1
      session.cookie = new Cookie(MAX_AGE)
      this.#store.set(id, session, done)
    },
    'set unchanged': (caller, done) => {
      const { id, session } = this.#next(caller)
      session.cookie = new Cookie(MAX_AGE)
      this.#store.set(id, session, done)
    },
    destroy: (_, done) => {
      this.#store.destroy(this.doomed.pop() as string, done)
    },
  }

  /** Stores sessions and loads each, as the request before would have. */
  async prepare(): Promise<void> {
    for (const id of await this.#storeNew(SESSIONS)) {
      const loaded = await new Promise<StoredSession>((resolve, reject) => {
        this.#store.get(id, (error, session) => (session ? resolve(session) : reject(error ?? new Error('not stored'))))
      })
      this.#stored.push({ id, session: asThePluginSaves(loaded) })
    }
  }

  async storeDoomed(): Promise<void> {
    this.doomed = await this.#storeNew(2 * SESSIONS)
  }

  async #storeNew(count: number): Promise<string[]> {
    const ids: string[] = []
    await new Calls().run(
      64,
      () => ids.length < count,
      (_, done) => {
        const { id, session } = this.#fresh()
        ids.push(id)
        this.#store.set(id, session, done)
      },
    )
    return ids
  }

  #fresh(): { id: string; session: StoredSession } {
    made += 1
    return { id: sessionId(made), session: { ...this.#template, user: `user-${made}`, cookie: new Cookie(MAX_AGE) } }
  }

  #next(caller: number): { id: string; session: StoredSession } {
    const used = this.#used[caller] ?? 0
    this.#used[caller] = used + 1
    return this.#stored[(caller + used * this.#callers) % SESSIONS] as { id: string; session: StoredSession }
  }
}

/** The plugin hands `set` another object than the one that `get` answered, with the same properties. */
function asThePluginSaves(loaded: StoredSession): StoredSession {
  const session: StoredSession = { cookie: new Cookie(MAX_AGE) }
  for (const key in loaded) if (key !== 'cookie') session[key] = loaded[key]
  return session
}

/** CPU time while it runs, in µs. */
class Stopwatch {
  own = 0
  server: number | undefined
  readonly #pid: number | undefined
  #begun = process.cpuUsage()
  #serverBegun: number | undefined

  constructor(serverPid: number | undefined) {
    this.#pid = serverPid
  }

  start(): void {
    this.#serverBegun = this.#pid && cpuOf(this.#pid)
    this.#begun = process.cpuUsage()
  }

  stop(): void {
    const { user, system } = process.cpuUsage(this.#begun)
    this.own += user + system
    const now = this.#pid && cpuOf(this.#pid)
    if (now !== undefined && this.#serverBegun !== undefined) this.server = (this.server ?? 0) + now - this.#serverBegun
  }
}
