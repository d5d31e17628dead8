import { setTimeout as sleep } from 'node:timers/promises'
import type { Runner } from '../bench.ts'
import { KINDS, type Kind } from '../contestants/contestant.ts'
import type { OutageName } from '../servers/server.ts'
import { type Answer, Browser, isLoggedIn, PATIENCE, userIn } from './browser.ts'

/** What came of one case: whether the promise was kept (undefined when that could not be told), and what was seen. */
export interface Verdict {
  kept: boolean | undefined
  seen: string
}

export interface Case {
  /** The head of its column. */
  title: string
  /** What is done, and what a user may expect of it. */
  promise: string
  kinds: readonly Kind[]
  /** Whether it waits for an outage, which takes up to half a minute. */
  slow?: boolean
  /** Of the cookie, in ms. */
  maxAge: number
  run(scene: Scene): Promise<Verdict>
}

export interface Scene extends Runner {
  /** Of the application. */
  port: number
}

const HOUR = 60 * 60_000
const DAY = 24 * HOUR
/** The stores whose sessions are not in the memory of their process. */
const OUTSIDE = KINDS.filter((kind) => kind !== 'memory')

export const cases: Case[] = [
  {
    title: 'two requests at once',
    promise: 'Two overlapping requests of one session set one key each. Both keys are there afterwards.',
    kinds: KINDS,
    maxAge: HOUR,
    async run({ application, port }) {
      const ada = await logIn(port)
      const answers = ['a', 'b'].map((key) => ada.tab().post(`/slow/set/${key}/1`))
      await application.ask('requestsAtGate', 2)
      await application.ask('openGate')
      await Promise.all(answers)
      const session = JSON.parse((await ada.get('/me')).text)
      const lost = ['a', 'b'].filter((key) => session[key] !== '1')
      return lost.length === 0 ? kept('both keys are there') : broken('one is lost')
    },
  },
  logOutDuring('log-out during a write', 'changes the session', (browser) => browser.post('/slow/set/a/1')),
  logOutDuring('log-out during a read', 'only reads', (browser) => browser.get('/slow/me')),
  {
    title: 'ids at rest',
    promise: 'The id that a session is reached by is not to be found in what is stored: a stolen copy lets nobody in.',
    kinds: OUTSIDE,
    maxAge: HOUR,
    async run({ server, contestant, place, port }) {
      const ada = await logIn(port)
      const stored = await server.dump(contestant, place)
      if (stored === '') throw new Error('nothing is stored')
      return stored.includes(ada.sessionId) ? broken('the id is stored as it is') : kept('not there')
    },
  },
  {
    title: 'over 30 days',
    promise: 'A session whose cookie lives for 31 days is there at the next request.',
    kinds: KINDS,
    maxAge: 31 * DAY,
    async run({ port }) {
      return (await isLoggedIn(await logIn(port))) ? kept('there') : broken('logged out at once')
    },
  },
  {
    title: 'over 1 MiB',
    promise: 'A session that has grown over 1 MiB is stored, or refused with what was stored before left alone.',
    kinds: KINDS,
    maxAge: HOUR,
    async run({ port }) {
      const ada = await logIn(port)
      const { status } = await ada.tab().post(`/grow/${1.1 * 2 ** 20}`)
      const answer = status === 200 ? 'stored' : `refused with ${status}`
      return (await isLoggedIn(ada)) ? kept(answer) : broken(`${answer}, and logged out`)
    },
  },
  {
    title: 'end of a session',
    promise:
      'A session whose time is over is not handed out 0.3 s later, and what is stored of it goes by itself some time.',
    kinds: KINDS,
    maxAge: 1000,
    async run({ application, server, port }) {
      // Where an end is rounded to whole seconds, it shows now.
      await sleep(1000 - ((Date.now() - 100) % 1000))
      const ada = await logIn(port)
      const forEver = (await server.keepsForEver?.('"ada"')) ? 'stored for ever' : undefined
      await sleep(1300)
      const handedOut = (await application.ask('has', ada.sessionId)) ? 'handed out after its end' : undefined
      const faults = [handedOut, forEver].filter((fault) => fault !== undefined)
      return faults.length === 0 ? kept('not handed out') : broken(faults.join(', '))
    },
  },
  {
    title: 'spoilt data',
    promise: 'What is stored has become unreadable: the user can log in again, and nobody else notices.',
    kinds: OUTSIDE,
    maxAge: HOUR,
    async run({ application, server, contestant, place, port }) {
      const ada = await logIn(port)
      await server.spoil(contestant, place)
      const { status } = await ada.tab().get('/me')
      if (status === undefined) await sleep(1000) // so that a process that is ending has ended
      if (!application.alive) return broken('the process ends')
      const again = ada.tab()
      await again.post('/login/ada')
      const usable = userIn(await again.get('/me')) === 'ada'
      return usable ? kept('log-in again works') : broken(`${status ?? 'no answer'} for as long as the cookie lives`)
    },
  },
  outage('frozen', ['redis', 'memcached', 'postgres'], 'The server keeps its connections and answers nothing'),
  outage('dead', ['redis', 'memcached', 'postgres'], 'The server is killed'),
  outage('locked', ['sqlite'], 'Another process holds the lock for writing'),
]

function logOutDuring(title: string, what: string, slowRequest: (browser: Browser) => Promise<Answer>): Case {
  return {
    title,
    promise: `A user logs out while a slow request of theirs, which ${what}, is under way. They stay logged out when it ends.`,
    kinds: KINDS,
    maxAge: HOUR,
    async run({ application, port }) {
      const ada = await logIn(port)
      const slow = slowRequest(ada.tab())
      await application.ask('requestsAtGate', 1)
      await ada.tab().post('/logout')
      if (await isLoggedIn(ada)) throw new Error('the log-out did nothing')
      await application.ask('openGate')
      await slow
      return (await isLoggedIn(ada)) ? broken('logged in again') : kept('logged out')
    },
  }
}

function outage(name: OutageName, kinds: Kind[], what: string): Case {
  return {
    title: name === 'locked' ? 'locked database' : `${name} server`,
    promise: `${what}. A request that changes its session is answered with an error within 3 s, one without a session within 1 s; and 3 s
      after the end of it all is as before.`,
    kinds,
    slow: true,
    maxAge: HOUR,
    async run({ server, place, port }) {
      const ada = await logIn(port)
      const end = await server.outages.find((each) => each.name === name)?.begin(place)
      const [change, other] = await Promise.all([ada.tab().post('/set/a/1'), new Browser(port).get('/no-session')])
      await end?.()
      const back = await timeUntilServed(ada)
      const seen = [change.status === undefined ? 'no answer' : `${change.status} after ${seconds(change.ms)}`]
      if (other.ms > 1000) seen.push(`others wait ${seconds(other.ms)}`)
      if (back > 3000) seen.push(back < PATIENCE ? `back after ${seconds(back)}` : 'not back')
      const isKept = change.status !== undefined && change.ms <= 3000 && other.ms <= 1000 && back <= 3000
      return { kept: isKept, seen: seen.join(', ') }
    },
  }
}

/** In ms, and no more than a user waits. The session itself may be gone with the server's memory. */
async function timeUntilServed(browser: Browser): Promise<number> {
  const begun = performance.now()
  for (;;) {
    const { status } = await browser.tab().get('/me')
    const passed = performance.now() - begun
    if (status === 200 || passed > PATIENCE) return passed
    await sleep(50)
  }
}

async function logIn(port: number): Promise<Browser> {
  const browser = new Browser(port)
  const { status, text } = await browser.post('/login/ada')
  if (status !== 200) throw new Error(`the log-in was answered with ${status}: ${text}`)
  return browser
}

function kept(seen: string): Verdict {
  return { kept: true, seen }
}

function broken(seen: string): Verdict {
  return { kept: false, seen }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
