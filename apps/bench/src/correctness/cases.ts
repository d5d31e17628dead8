import { setTimeout as sleep } from 'node:timers/promises'
import type { Runner } from '../bench.ts'
import type { Outage } from '../servers/server.ts'
import { type Answer, Browser, isLoggedIn, PATIENCE, userIn } from './browser.ts'

/** What came of one case: whether the promise was kept, and what was seen. */
export interface Verdict {
  kept: boolean
  seen: string
}

export interface Case {
  /** The head of its column. */
  title: string
  /** What is done, and what a user may expect of it. */
  promise: string
  /** Whether it concerns sessions in the memory of their process too. */
  inMemoryToo: boolean
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

export const cases: Case[] = [
  {
    title: 'two requests at once',
    promise: 'Two overlapping requests of one session set one key each. Both keys are there afterwards.',
    inMemoryToo: true,
    maxAge: HOUR,
    async run({ application, port }) {
      const ada = await logIn(port)
      const answers = ['a', 'b'].map((key) => ada.tab().post(`/slow/set/${key}/1`))
      await application.ask('requestsAtGate', 2)
      await application.ask('openGate')
      await Promise.all(answers)
      const session = JSON.parse((await ada.get('/me')).text)
      const lost = ['a', 'b'].filter((key) => session[key] !== '1')
      return lost.length === 0 ? kept('both keys are there') : broken(`${lost.join(' and ')} is lost`)
    },
  },
  logOutDuring('log-out during a write', 'changes the session', (browser) => browser.post('/slow/set/a/1')),
  logOutDuring('log-out during a read', 'only reads', (browser) => browser.get('/slow/me')),
  {
    title: 'ids at rest',
    promise: 'The id that a session is reached by is not to be found in what is stored: a stolen copy lets nobody in.',
    inMemoryToo: false,
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
    inMemoryToo: true,
    maxAge: 31 * DAY,
    async run({ port }) {
      return (await isLoggedIn(await logIn(port))) ? kept('there') : broken('logged out at once')
    },
  },
  {
    title: 'over 1 MiB',
    promise: 'A session that has grown over 1 MiB is stored, or refused with what was stored before left alone.',
    inMemoryToo: true,
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
    inMemoryToo: true,
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
    inMemoryToo: false,
    maxAge: HOUR,
    async run({ application, server, contestant, place, port }) {
      const ada = await logIn(port)
      await server.spoil(contestant, place)
      const { status } = await ada.tab().get('/me')
      if (!application.alive) return broken('the process ends')
      const again = ada.tab()
      await again.post('/login/ada')
      if (!application.alive) return broken('the process ends')
      const usable = userIn(await again.get('/me')) === 'ada'
      return usable ? kept('log-in again works') : broken(`${status} for as long as the cookie lives`)
    },
  },
  {
    title: 'outage',
    promise: `While the server is frozen or dead, or the database locked, a request that changes its session is answered with an
      error within 3 s, one without a session within 1 s; and 3 s after the return all is as before.`,
    inMemoryToo: false,
    slow: true,
    maxAge: HOUR,
    async run(scene) {
      const verdicts: Verdict[] = []
      for (const outage of scene.server.outages) verdicts.push(await during(outage, scene))
      return { kept: verdicts.every((each) => each.kept), seen: verdicts.map(({ seen }) => seen).join('; ') }
    },
  },
]

function logOutDuring(title: string, what: string, slowRequest: (browser: Browser) => Promise<Answer>): Case {
  return {
    title,
    promise: `A user logs out while a slow request of theirs, which ${what}, is under way. They stay logged out when it ends.`,
    inMemoryToo: true,
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

async function during({ name, begin }: Outage, { place, port }: Scene): Promise<Verdict> {
  const ada = await logIn(port)
  const end = await begin(place)
  const [answer, bystander] = await Promise.all([ada.tab().post('/set/a/1'), new Browser(port).get('/no-session')])
  await end()
  const back = await timeUntilServed(ada)
  const seen = [answer.status === undefined ? 'no answer' : `${answer.status} after ${seconds(answer.ms)}`]
  if (bystander.ms > 1000) seen.push(`others wait ${seconds(bystander.ms)}`)
  if (back > 3000) seen.push(back < PATIENCE ? `back after ${seconds(back)}` : 'not back')
  const isKept = answer.status !== undefined && answer.ms <= 3000 && bystander.ms <= 1000 && back <= 3000
  return { kept: isKept, seen: `${name}: ${seen.join(', ')}` }
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
