import { setTimeout as sleep } from 'node:timers/promises'
import type { Resolver } from '../app/config.ts'
import type { Faults, Network, Scene } from '../fault.ts'

const DURATION = 5000

/** What can happen between an application and any server. */
export const networkFaults: Faults<Network> = {
  'far-away': {
    what: '300 ms each way',
    load: { overlaps: false },
    async run({ proxy }) {
      proxy.delay = 300
      await sleep(DURATION)
      proxy.delay = 0
    },
    expect: { refuses: 'nothing', knownOutageWait: Number.POSITIVE_INFINITY }, // nobody is refused: a log-in takes three round trips
  },
  'late-packets': {
    what: '20 ms each way, and 5 % of the packets 1 s late',
    async run({ proxy }) {
      proxy.delay = 20
      proxy.late = { percent: 5, ms: 1000 }
      await sleep(DURATION)
      proxy.late = { percent: 0, ms: 0 }
      proxy.delay = 0
    },
    // The server answers, so each step of a request gets its time, however late the one before was.
    expect: { refuses: 'perhaps', knownOutageWait: Number.POSITIVE_INFINITY, longestWait: 4600 },
  },
  'answers-stall': {
    what: 'nothing comes back for 5 s, then all at once',
    async run({ proxy }) {
      proxy.stall('answers')
      await sleep(DURATION)
      proxy.flow()
    },
  },
  'requests-stall': {
    what: 'nothing gets there for 5 s, then all at once',
    async run({ proxy }) {
      proxy.stall('requests')
      await sleep(DURATION)
      proxy.flow()
    },
  },
  'reset-in-mid-answer': {
    what: 'every 40th answer breaks off, and its connection with it',
    onlyWriter: true,
    async run({ proxy }) {
      proxy.cutEvery = 40
      await sleep(DURATION)
      proxy.cutEvery = Number.POSITIVE_INFINITY
    },
    expect: { refuses: 'nothing' },
  },
  reset: {
    what: 'all connections reset, five times',
    async run({ proxy }) {
      for (let n = 0; n < 5; n += 1) {
        proxy.reset()
        await sleep(500)
      }
    },
    expect: { refuses: 'nothing' },
  },
  'stale-idle': {
    what: 'all connections die while idle, and say so to who sends something over them',
    async run({ proxy, load }) {
      await load.pause()
      await load.burst(100)
      proxy.makeAll('stale')
      load.start()
    },
    expect: { refuses: 'nothing' },
  },
  'half-open': {
    what: 'all connections die without a word, new ones work',
    async run({ proxy }) {
      proxy.makeAll('silent')
    },
    // Who makes a new connection in time serves all
    expect: { refuses: 'perhaps', firstWithin: 4000, allWithin: 4000 },
  },
  swallowed: {
    what: 'connections are taken and never answered for 6 s',
    async run({ proxy }) {
      await swallow(proxy, 6000)
    },
  },
  'swallowed-40s': {
    what: 'the same for 40 s, in which drivers come to wait long between their attempts',
    async run({ proxy }) {
      await swallow(proxy, 40_000)
    },
  },
  refused: {
    what: 'connections are refused for 5 s',
    async run({ proxy }) {
      proxy.refuse()
      await sleep(DURATION)
      await proxy.accept()
    },
  },
  dropped: {
    what: 'no connection is answered for 5 s, nor any packet of those there were',
    needs: 'Linux',
    async run({ proxy }) {
      proxy.makeAll('silent')
      await proxy.dropNew()
      await sleep(DURATION)
      await proxy.accept()
    },
    // The kernel repeats what opens a connection after 1, 3 and 7 s
    expect: { firstWithin: 3000 },
  },
  slow: {
    what: '20 kB/s for 5 s, with sessions of 60 kB',
    bytes: 60_000,
    load: { users: 10 },
    async run({ proxy }) {
      proxy.bytesPerSecond = 20_000
      await sleep(DURATION)
      proxy.bytesPerSecond = Number.POSITIVE_INFINITY
    },
    expect: { firstWithin: 4000, allWithin: 5000, knownOutageWait: Number.POSITIVE_INFINITY },
  },
  'no-name-server': {
    what: 'all connections reset, and for 5 s the server’s name is not found',
    async run(scene) {
      await withResolver(scene, 'gone')
    },
  },
  'slow-name-server': {
    what: 'all connections reset, and for 5 s a look-up of its name takes 1.5 s',
    async run(scene) {
      await withResolver(scene, 'slow')
    },
    expect: { refuses: 'perhaps' },
  },
}

async function swallow(proxy: Network['proxy'], ms: number): Promise<void> {
  proxy.makeAll('silent')
  proxy.swallowsNew = true
  await sleep(ms)
  proxy.swallowsNew = false
  proxy.makeAll('silent')
}

async function withResolver({ proxy, apps }: Network & Scene, resolver: Resolver): Promise<void> {
  for (const app of apps) await app.ask('setResolver', resolver)
  proxy.reset()
  await sleep(DURATION)
  for (const app of apps) await app.ask('setResolver', 'works')
}
