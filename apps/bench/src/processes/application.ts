/** The process of one contestant: the application that has the store, whose CPU time is its own. */
import type { AddressInfo } from 'node:net'
import type { Contestant, OpenStore, Place } from '../contestants/contestant.ts'
import { contestantNamed } from '../contestants/index.ts'
import { CasesApp, type CasesOptions } from '../correctness/app.ts'
import { measureOperation, type OperationJob } from '../operations/measure.ts'
import { buildApp, buildAppWithoutStore } from '../requests/app.ts'
import { Meter } from '../requests/meter.ts'
import { type FillJob, fill, memoryInUse, pruneUnderLoad, type ReadJob, readAmong } from '../scale/scale.ts'
import { Remote, serve } from './rpc.ts'

let open: OpenStore | undefined
let meter: Meter | undefined
let cases: CasesApp | undefined

const handlers = {
  /** Before all else. */
  async open({ name, place }: { name: string; place: Place }): Promise<void> {
    const contestant = contestantNamed(name)
    if (!contestant.plugin) open = await contestant.open(place)
  },
  clear: async () => open?.clear?.(),

  operation: (job: OperationJob) => measureOperation(opened().store, job),

  /** Serves requests, and answers on which port. */
  async listen(): Promise<number> {
    const app = open ? buildApp(open.store) : buildAppWithoutStore()
    meter = new Meter(app)
    await app.listen({ host: '127.0.0.1', port: 0 })
    return (app.server.address() as AddressInfo).port
  },
  startMeter: () => meter?.start(),
  stopMeter: () => (meter as Meter).stop(),

  fill: (job: FillJob) => fill(opened(), job),
  readAmong: (job: ReadJob) => readAmong(opened().store, job),
  prune: async () => opened().prune?.(),
  pruneUnderLoad: (job: Omit<ReadJob, 'ms'>) => pruneUnderLoad(opened(), job),
  memoryInUse,

  /** Serves the application of the awkward cases, and answers on which port. */
  async listenForCases(options: CasesOptions): Promise<number> {
    cases = new CasesApp(opened().store, options)
    return cases.listen()
  },
  requestsAtGate: (count: number) => cases?.gate.entered(count),
  openGate: () => cases?.gate.open(),
  /** Whether the store hands out this session. */
  has: (id: string): Promise<boolean> =>
    new Promise((resolve, reject) => {
      opened().store.get(id, (error, session) => (error ? reject(error) : resolve(Boolean(session))))
    }),
}

export type Application = Remote<typeof handlers>

/** Starts the process of a contestant, with its store open. */
export async function startApplication({ name }: Contestant, place: Place): Promise<Application> {
  const application: Application = new Remote(import.meta.filename)
  try {
    await application.ask('open', { name, place })
  } catch (error) {
    await application.stop()
    throw error
  }
  return application
}

function opened(): OpenStore {
  if (open === undefined) throw new Error('this contestant has no store')
  return open
}

if (process.argv[1] === import.meta.filename && process.send) serve(handlers)
