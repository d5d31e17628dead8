import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault, Faults, Scene } from '../fault.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** What can happen to an application's own process, whatever its store. */
export const processFaults: Faults = {
  'blocked-1.5s': {
    what: 'an application’s event loop stands still for 1.5 s, six times',
    ...blocked(1500),
  },
  'blocked-3s': {
    what: 'the same for 3 s, longer than the deadline',
    ...blocked(3000),
  },
  'app-killed': {
    what: 'an application is killed (SIGKILL) and started again, four times',
    async run({ apps }) {
      for (let n = 0; n < 4; n += 1) {
        const app = apps[n % 2 === 0 ? 0 : 1]
        await app.kill()
        await app.start()
        await sleep(300)
      }
    },
    expect: { refuses: 'nothing' },
  },
  'app-ended': {
    what: 'an application is ended (SIGTERM) under load and started again, four times',
    async run({ apps }) {
      for (let n = 0; n < 4; n += 1) {
        const app = apps[n % 2 === 0 ? 0 : 1]
        await app.end()
        await app.start()
        await sleep(300)
      }
    },
    // Fastify refuses what comes while it closes
    expect: { refuses: 'perhaps' },
  },
  'clock-10min': {
    what: 'one application’s clock is 10 minutes ahead, then 10 minutes behind; sessions last 30',
    async run(scene) {
      await withClockOff(scene, 10 * MINUTE)
      await withClockOff(scene, -10 * MINUTE)
    },
    expect: { refuses: 'nothing' },
  },
  'clock-1h-ahead': {
    what: 'one application’s clock is an hour ahead, and it deletes what has expired every 0.2 s',
    options: { pruneInterval: 200 },
    async run(scene) {
      await withClockOff(scene, HOUR)
    },
    expect: { refuses: 'nothing', wrongClock: true },
  },
  'clock-1h-behind': {
    what: 'one application’s clock is an hour behind, and all delete what has expired every 0.2 s',
    options: { pruneInterval: 200 },
    load: { logsOut: false },
    async run(scene) {
      await withClockOff(scene, -HOUR)
    },
    expect: { refuses: 'nothing', wrongClock: true },
  },
}

function blocked(ms: number): Pick<Fault, 'options' | 'load' | 'run' | 'expect'> {
  return {
    options: { touchInterval: 0 }, // so that every request has something to ask and something to write
    load: { users: 40 },
    async run({ apps }) {
      for (let n = 0; n < 6; n += 1) {
        await apps[n % 2 === 0 ? 0 : 1].ask('block', ms)
        await sleep(300)
      }
    },
    expect: { refuses: 'nothing', loopStall: ms + 1000 },
  }
}

async function withClockOff(scene: Scene, ms: number): Promise<void> {
  await setClock(scene, ms)
  await sleep(3000)
  await setClock(scene, 0)
}

/** While no request is under way, for which an hour would seem to pass: by its clock, its session would end meanwhile. */
async function setClock({ apps: [, app], load }: Scene, off: number): Promise<void> {
  await load.pause()
  await app.ask('setClockOff', off)
  load.start()
}
