import { CANARY } from '../app/canary.ts'
import type { AppProcess } from '../app-process.ts'
import type { Heartbeat } from '../heartbeat.ts'
import { type Answer, idIn, send } from './http.ts'
import type { Kind, Ledger } from './ledger.ts'

type Key = 'a' | 'b'

/** What a user knows of a session of theirs. */
interface Session {
  cookie: string
  secret: string
  /** When it was asked for. */
  begun: number
  /** The number that was acknowledged last, when that was asked for, and the last one that was sent. */
  values: Record<Key, { kept: number; since: number; sent: number }>
  /** Whether its end was asked for, and when that was what was acknowledged. */
  ending: boolean
  ended: number
}

export interface Habits {
  /** How much of what they do is changes, from 0 to 1; the rest is reads. */
  changes: number
  /** Whether they log out and in again besides. */
  logsOut: boolean
  /** Whether they sometimes send two requests at once. */
  overlaps: boolean
}

/** Somebody who uses both processes of the application, and remembers all that was acknowledged. */
export class User {
  readonly #name: string
  readonly #apps: readonly AppProcess[]
  readonly #habits: Habits
  readonly #ledger: Ledger
  readonly #heartbeat: Heartbeat
  #session: Session | undefined
  /** Answered with 401 though nobody had ended them. */
  readonly #missing: Session[] = []
  #ended: Session[] = []

  constructor(name: string, apps: readonly AppProcess[], habits: Habits, ledger: Ledger, heartbeat: Heartbeat) {
    this.#name = name
    this.#apps = apps
    this.#habits = habits
    this.#ledger = ledger
    this.#heartbeat = heartbeat
  }

  /** Whether it now has a session. */
  async logIn(): Promise<boolean> {
    const begun = performance.now()
    const { status, body, cookie } = await this.#send('log in', 'POST', `/login/${this.#name}`)
    if (status !== 200) return false
    if (cookie === undefined) this.#ledger.wrongAnswers.push('a log-in without a cookie')
    else {
      const value = () => ({ kept: 0, since: begun, sent: 0 })
      const { secret } = JSON.parse(body)
      this.#session = { cookie, begun, secret, values: { a: value(), b: value() }, ending: false, ended: 0 }
      this.#ledger.ids.add(idIn(cookie))
    }
    return this.#session !== undefined
  }

  /** One thing that users do. */
  async act(): Promise<void> {
    const session = this.#session
    if (session === undefined) {
      await this.logIn()
      return
    }
    // Who was not told that they are logged out tries again
    if (session.ending) return this.#logOut(session)
    const { overlaps, logsOut, changes } = this.#habits
    const chance = Math.random()
    if (overlaps && chance < 0.08) await this.#changeBothAtOnce(session)
    else if (overlaps && logsOut && chance < 0.12) await this.#changeAndLogOutAtOnce(session)
    else if (logsOut && chance < 0.18) await this.#logOut(session)
    else if (logsOut && chance < 0.24) await this.#tryEndedSession()
    else if (Math.random() < changes) await this.#change(session, Math.random() < 0.5 ? 'a' : 'b')
    else await this.read()
  }

  async read(app = this.#someApp()): Promise<void> {
    if (this.#session !== undefined) await this.#read(this.#session, app)
  }

  /** Compares all that was acknowledged with what is there, in each process. */
  async check(): Promise<void> {
    for (const app of this.#apps) {
      await this.read(app)
      for (const session of this.#ended) await this.#checkEnded(session, app)
    }
    for (const { cookie, begun } of this.#missing) {
      const { status } = await this.#send('read', 'GET', '/me', cookie)
      if (status === 401) this.#ledger.lostSessions.push({ since: begun, what: this.#name })
    }
  }

  async #read(session: Session, app: AppProcess): Promise<void> {
    const answer = await this.#send('read', 'GET', '/me', session.cookie, app)
    if (this.#isUsable(session, answer)) this.#compare(session, JSON.parse(answer.body))
  }

  #compare(session: Session, found: { user: string; secret: string } & Record<Key, number>): void {
    if (found.user !== this.#name || found.secret !== session.secret) {
      this.#ledger.wrongAnswers.push(`${this.#name} got a session of ${found.user}`)
      return
    }
    for (const key of ['a', 'b'] as const) {
      const value = session.values[key]
      if (!(found[key] <= value.sent)) this.#ledger.wrongAnswers.push(`a session with ${found[key]}, never sent`)
      if (found[key] < value.kept) {
        this.#ledger.lostChanges.push({
          since: value.since,
          what: `${this.#name}: ${value.kept} is ${found[key]} again`,
        })
        value.kept = found[key]
      }
    }
  }

  async #change(session: Session, key: Key, app = this.#someApp()): Promise<void> {
    const value = session.values[key]
    const number = ++value.sent
    const begun = performance.now()
    const answer = await this.#send('change', 'POST', `/set/${key}/${number}`, session.cookie, app)
    if (this.#isUsable(session, answer)) Object.assign(value, { kept: number, since: begun })
  }

  async #changeBothAtOnce(session: Session): Promise<void> {
    await Promise.all((['a', 'b'] as const).map((key, n) => this.#change(session, key, this.#apps[n])))
  }

  async #changeAndLogOutAtOnce(session: Session): Promise<void> {
    const logOut = this.#logOut(session) // first, so that no 401 of the change is taken for a loss
    await Promise.all([this.#change(session, 'a'), logOut])
  }

  async #logOut(session: Session): Promise<void> {
    const isFirst = !session.ending
    session.ending = true
    const asked = performance.now()
    const { status } = await this.#send('log out', 'POST', '/logout', session.cookie)
    // The first of several may have come through though nobody was told
    if (status === 200 || (status === 401 && !isFirst)) {
      session.ended = asked
      this.#session = undefined
      this.#ended.push(session)
    } else if (status === 401) this.#miss(session)
  }

  async #tryEndedSession(): Promise<void> {
    const session = this.#ended[Math.floor(Math.random() * this.#ended.length)]
    if (session !== undefined) await this.#checkEnded(session, this.#someApp())
  }

  async #checkEnded(session: Session, app: AppProcess): Promise<void> {
    const { status } = await this.#send('read', 'GET', '/me', session.cookie, app)
    if (status !== 200) return
    this.#ledger.undoneLogOuts.push({ since: session.ended, what: this.#name })
    this.#ended = this.#ended.filter((other) => other !== session)
  }

  /** Whether the answer is one for somebody who is logged in. Looks after what may be wrong with it. */
  #isUsable(session: Session, { status, cookie }: Answer): boolean {
    // With a 401 the plugin takes the cookie away, with anything else that would be a log-out
    if (status !== 401 && cookie !== undefined && idIn(cookie) !== idIn(session.cookie)) {
      this.#ledger.wrongAnswers.push(`a new session id with the status ${status}`)
    }
    if (status === 401 && !session.ending) this.#miss(session)
    return status === 200
  }

  #miss(session: Session): void {
    if (this.#session !== session) return
    this.#ledger.wrong401s.push({ since: session.begun, what: this.#name })
    this.#missing.push(session)
    this.#session = undefined
  }

  async #send(kind: Kind, method: 'GET' | 'POST', path: string, cookie?: string, app = this.#someApp()) {
    const begun = performance.now()
    const [ownStalls, appStalls] = [this.#heartbeat.stalled, app.stalled]
    const answer = await send(app, method, path, cookie)
    const ended = performance.now()
    app.stalled = answer.stalled ?? app.stalled
    const stalled = this.#heartbeat.stalled - ownStalls + Math.max(0, app.stalled - appStalls)
    const wait = Math.max(0, ended - begun - stalled)
    const { status, body } = answer
    this.#ledger.samples.push({ kind, begun, ended, wait, status, appEnded: status === 0 && !app.up })
    if (status >= 500) this.#lookForLeaks(body)
    return answer
  }

  #lookForLeaks(body: string): void {
    const id = this.#session && idIn(this.#session.cookie)
    if (body.includes(CANARY) || (id && body.includes(id))) this.#ledger.leaks.push(body)
  }

  /** A process that takes requests; where none does, the first. */
  #someApp(): AppProcess {
    const up = this.#apps.filter((app) => app.up)
    return (up[Math.floor(Math.random() * up.length)] ?? this.#apps[0]) as AppProcess
  }
}
