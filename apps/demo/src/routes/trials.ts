import type { FastifyInstance } from 'fastify'
import { limitTries } from '../limits.ts'
import type { SessionStore } from '../stores/index.ts'
import { PlainStore } from '../trials/plain-store.ts'
import { runTrial, trials } from '../trials/trials.ts'
import { requireUser, show } from '../visitor.ts'

export interface TrialsOptions {
  store: SessionStore
  canList: boolean
  /** How many trials one address may run in a minute. */
  trialsPerMinute: number
}

/** Try to break it: races that other stores lose, on this store and on a plain one. */
export async function trialsRoutes(app: FastifyInstance, options: TrialsOptions): Promise<void> {
  const { store, canList, trialsPerMinute } = options
  app.addHook('preHandler', requireUser)

  app.get('/trials', (request, reply) => show(request, reply, 'trials', { trials }))

  const limited = { preHandler: limitTries(app, { attempts: trialsPerMinute }) }
  app.post<{ Params: { id: string } }>('/trials/:id', limited, async (request, reply) => {
    const trial = trials.find(({ id }) => id === request.params.id)
    if (!trial) return reply.callNotFound()
    const plain = new PlainStore()
    const destroyByUser = canList ? (userId: string) => store.destroyByUser(userId) : undefined
    const [ours, theirs] = await Promise.all([
      runTrial(trial, { store, destroyByUser }),
      runTrial(trial, { store: plain, destroyByUser: (userId) => plain.destroyByUser(userId) }),
    ])
    return show(request, reply, 'trials', { trials, ran: trial.id, ours, theirs })
  })
}
