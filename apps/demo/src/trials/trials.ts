import { TrialApp, type TriedStore } from './trial-app.ts'

export interface Trial {
  id: string
  title: string
  /** What is done, for people. */
  text: string
  /** The rule of the contract that it tries. */
  rule: string
  /** Whether the store has to know sessions by their user. */
  byUser?: boolean
  run(app: TrialApp): Promise<Verdict>
}

export interface Verdict {
  /** Undefined where it could not be tried. */
  holds: boolean | undefined
  text: string
}

export interface Result extends Verdict {
  log: string[]
}

const MANY = 64

export const trials: Trial[] = [
  {
    id: 'two-at-once',
    title: 'Two requests at once',
    text: 'Two requests load one session at the same time, each sets something of its own, and both save.',
    rule: 'S25',
    run: async (app) => {
      const browser = await app.browser()
      const requests = ['a', 'b'].map((key) => browser.post(`/slow/${key}`))
      await app.haveLoaded(2)
      app.goOn()
      await Promise.all(requests)
      const { keys } = await browser.session()
      const holds = keys.join() === 'a,b'
      return { holds, text: holds ? 'Both changes are there.' : `Only ${keys.join(' and ')} is there.` }
    },
  },
  {
    id: 'log-out',
    title: 'Log-out during a slow request',
    text: 'A slow request has loaded the session; its user logs out; then the slow request saves what it has.',
    rule: 'S21',
    run: async (app) => {
      const browser = await app.browser()
      const slow = browser.post('/slow/a')
      await app.haveLoaded(1)
      await browser.post('/log-out')
      app.goOn()
      await slow
      const { loggedIn } = await browser.session()
      return { holds: !loggedIn, text: loggedIn ? 'The user is logged in again.' : 'The user stays logged out.' }
    },
  },
  {
    id: 'many-at-once',
    title: `${MANY} at once`,
    text: `${MANY} requests load one session, each sets something of its own, and all save.`,
    rule: 'S28',
    run: async (app) => {
      const browser = await app.browser()
      const requests = Array.from({ length: MANY }, (_, i) => browser.post(`/slow/k${i}`))
      await app.haveLoaded(MANY)
      app.goOn()
      await Promise.all(requests)
      const { keys } = await browser.session()
      return { holds: keys.length === MANY, text: `${keys.length} of ${MANY} changes are there.` }
    },
  },
  {
    id: 'everywhere',
    title: 'Log out everywhere, during requests',
    text: 'A user is logged in with three browsers, a slow request in each; all sessions are ended; then the requests save.',
    rule: 'S20',
    byUser: true,
    run: async (app) => {
      const browsers = await Promise.all([app.browser(), app.browser(), app.browser()])
      const requests = browsers.map((browser) => browser.post('/slow/a'))
      await app.haveLoaded(browsers.length)
      await browsers[0]?.post('/log-out-everywhere')
      app.goOn()
      await Promise.all(requests)
      const seen = await Promise.all(browsers.map((browser) => browser.session()))
      const back = seen.filter(({ loggedIn }) => loggedIn).length
      return { holds: back === 0, text: back === 0 ? 'All stay logged out.' : `${back} of 3 are logged in again.` }
    },
  },
]

/** Runs the trial on this store for real. What sessions it leaves where the store cannot list them end within a minute. */
export async function runTrial(trial: Trial, tried: TriedStore): Promise<Result> {
  if (trial.byUser && !tried.destroyByUser) {
    return {
      holds: undefined,
      text: 'This store cannot list the sessions of a user, so there is nothing to try.',
      log: [],
    }
  }
  const app = new TrialApp(tried)
  try {
    const verdict = await trial.run(app)
    await tried.destroyByUser?.(app.userId)
    return { ...verdict, log: shortened(app.log) }
  } finally {
    await app.close()
  }
}

/** Of lines that are the same but for their numbers, the first, and how many more there were. */
function shortened(log: string[]): string[] {
  const lines: Array<{ kind: string; text: string; more: number }> = []
  for (const text of log) {
    const kind = text.replace(/\d+ saved$/, 'saved').replace(/\/k\d+/, '/k')
    const last = lines.at(-1)
    if (last?.kind === kind) last.more += 1
    else lines.push({ kind, text: text.slice(0, 200), more: 0 })
  }
  return lines.map(({ text, more }) => (more > 0 ? `${text} … and ${more} more like it` : text))
}
