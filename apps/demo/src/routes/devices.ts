import { devicesOf, logIn, logOut, logOutDevice, logOutEverywhere, logOutOthers } from '@session-stores/fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { limitTries } from '../limits.ts'
import { moment } from '../time.ts'
import type { Users } from '../users.ts'
import { field, passwordProblem, requireUser, sessionFieldsOf, show } from '../visitor.ts'

export interface DevicesOptions {
  users: Users
  /** Whether the store can list sessions by their user. Memcached cannot. */
  canList: boolean
  /** How often a password may be tried in a minute. */
  attempts: number
}

/** Your devices: the sessions of somebody who is logged in, and what ends them. */
export async function devicesRoutes(app: FastifyInstance, options: DevicesOptions): Promise<void> {
  const { users, canList, attempts } = options
  app.addHook('preHandler', requireUser)

  app.get('/devices', async (request, reply) => {
    const { notice } = request.session
    delete request.session.notice
    return page(request, reply, { notice })
  })

  app.post('/devices/end', async (request, reply) => {
    const devices = await devicesOf(request)
    const device = devices.find(({ handle }) => handle === field(request, 'handle'))
    if (device?.isCurrent) {
      await logOut(request, reply)
      return reply.redirect('/', 303)
    }
    const ended = device !== undefined && (await logOutDevice(request, device.handle))
    return back(request, reply, ended ? `${device.session.device} was logged out.` : 'That session had ended already.')
  })

  app.post('/devices/end-others', async (request, reply) => back(request, reply, ended(await logOutOthers(request))))

  app.post('/devices/end-all', async (request, reply) => {
    await logOutEverywhere(request, reply)
    return reply.redirect('/', 303)
  })

  const limited = { preHandler: limitTries(app, { attempts, account: ({ user }) => user?.name ?? '' }) }
  app.post('/password', limited, async (request, reply) => {
    const refuse = (status: number, passwordProblem: string) => page(request, reply.code(status), { passwordProblem })
    const { user } = request
    const wanted = field(request, 'new')
    const problem = passwordProblem(wanted)
    if (problem) return refuse(400, problem)
    const changed = user && (await users.changePassword(user, field(request, 'current').slice(0, 128), wanted))
    if (!changed) return refuse(401, 'The present password is another one.')

    // Whoever has got hold of this session's id is to have lost it too; and then all the others
    await logIn(request, sessionFieldsOf(request, changed), { keep: ['colour', 'note'] })
    const others = canList ? ended(await logOutOthers(request)) : 'Whoever was logged in elsewhere is not any more.'
    return back(request, reply, `Your password is changed. ${others}`)
  })

  async function page(request: FastifyRequest, reply: FastifyReply, data: object): Promise<FastifyReply> {
    const devices = canList ? await devicesOf(request) : []
    const shown = devices.map(({ handle, isCurrent, createdAt, lastActiveAt, expiresAt, session }) => ({
      handle,
      isCurrent,
      name: session.device,
      began: moment(createdAt),
      lastActive: moment(lastActiveAt),
      ends: moment(expiresAt),
    }))
    return show(request, reply, 'devices', { devices: shown, canList, ...data })
  }
}

/** Says so on the page that comes next. */
function back(request: FastifyRequest, reply: FastifyReply, notice: string): FastifyReply {
  request.session.notice = notice
  return reply.redirect('/devices', 303)
}

function ended(count: number): string {
  if (count === 0) return 'You were logged in nowhere else.'
  return count === 1 ? 'One other session was ended.' : `${count} other sessions were ended.`
}
