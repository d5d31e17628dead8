// Compiled by the type check, never run: the application's session type flows through, and wrong use does not compile.
import { MemoryStore } from '@session-stores/core'
import Fastify, { type Session } from 'fastify'
import {
  devicesOf,
  logIn,
  logOut,
  logOutDevice,
  logOutEverywhere,
  logOutOthers,
  type SessionsOptions,
  sessions,
} from '../src/index.ts'

declare module 'fastify' {
  interface Session {
    presetTypeTest?: { id: number }
  }
}

const secret = 'x'.repeat(32)
const typed = new MemoryStore<Session>()
const maybe = process.env.IDLE ? Number(process.env.IDLE) : undefined

export const options: SessionsOptions = {
  store: typed,
  secret: [secret, secret],
  idleTimeout: maybe,
  absoluteTimeout: process.env.ABSOLUTE ? false : undefined,
  cookie: { domain: process.env.DOMAIN, maxAge: maybe, sameSite: process.env.STRICT ? 'strict' : undefined },
}

const app = Fastify()
app.register(sessions, { store: new MemoryStore(), secret })
app.register(sessions, options)
// @ts-expect-error a store and a secret must be given
app.register(sessions, { secret })
// @ts-expect-error and there is no such option
app.register(sessions, { store: typed, secret, maxAge: 5 })

app.post<{ Body: { name: string }; Reply: string }>('/', async (request, reply) => {
  await logIn(request, { presetTypeTest: { id: 5 } }, { keep: ['presetTypeTest'] })
  await logIn(request, { ...request.session, user: request.body.name })
  // @ts-expect-error the application's type says it is an object
  await logIn(request, { presetTypeTest: 5 })
  // @ts-expect-error there is no such field
  await logIn(request, {}, { keep: ['nobodyKnows'] })
  // @ts-expect-error the cookie belongs to the id
  await logIn(request, {}, { keep: ['cookie'] })
  await logOut(request, reply)
  return `${request.session.presetTypeTest?.id.toFixed()}`
})

app.post<{ Body: { handle: string } }>('/devices', async (request, reply) => {
  const [device] = await devicesOf(request)
  const id: number | undefined = device?.session.presetTypeTest?.id
  const isCurrent: boolean | undefined = device?.isCurrent
  const ended: boolean = await logOutDevice(request, request.body.handle)
  const others: number = await logOutOthers(request)
  const all: number = await logOutEverywhere(request, reply)
  // @ts-expect-error it takes the cookie back, which goes with the reply
  await logOutEverywhere(request)
  return { id, isCurrent, ended, others, all }
})

const overHttp2 = Fastify({ http2: true })
overHttp2.register(sessions, options)
