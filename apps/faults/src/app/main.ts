// One process of the application under test: a Fastify with @fastify/session and one of the stores. What it is to be comes
// as JSON on the command line; commands come over Node's channel to the process that started it.
import type { AddressInfo } from 'node:net'
import fastifyCookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import Fastify from 'fastify'
import { Heartbeat } from '../heartbeat.ts'
import { setClockOff } from './clock.ts'
import { type AppCommand, type AppCommands, type AppConfig, type AppMessage, STALLED_HEADER } from './config.ts'
import { conflicts, countAndMerge } from './conflicts.ts'
import type { Opener } from './opener.ts'
import { setResolver } from './resolver.ts'
import { addRoutes } from './routes.ts'

const config: AppConfig = JSON.parse(process.argv[2] ?? '')
const tell = (message: AppMessage) => process.send?.(message)

process.on('warning', (warning) => {
  // Node's own on old versions, of the types in these files
  if (warning.name !== 'ExperimentalWarning') tell({ warning: `${warning.stack}` })
})

const heartbeat = new Heartbeat()

const app = Fastify({ logger: { level: 'warn' } })
const { open }: Opener<unknown> = await import(config.opener)
const options = config.countConflicts ? { ...config.options, onConflict: countAndMerge } : config.options
const { store, close } = await open(config.settings, options, (error) => app.log.warn(error, 'from the driver'))

app.register(fastifyCookie)
app.register(fastifySession, {
  secret: 'a secret of the fault matrix, of at least 32 characters',
  store,
  saveUninitialized: false,
  cookie: { secure: false, maxAge: 30 * 60_000 },
})
app.addHook('onClose', async () => {
  await store.close()
  await close()
})
app.register(async (scope) => {
  addRoutes(scope, config)
  // After the plugin's, which saves the session
  scope.addHook('onSend', async (_request, reply) => {
    reply.header(STALLED_HEADER, heartbeat.stalled)
  })
})

const commands: AppCommands = {
  report() {
    globalThis.gc?.()
    const resources = process.getActiveResourcesInfo()
    const { heapUsed, external } = process.memoryUsage()
    const loopStall = heartbeat.longestBlock
    heartbeat.begin()
    const count = (type: string) => resources.filter((each) => each === type).length
    return {
      sockets: count('TCPSocketWrap') + count('TCPConnectWrap'),
      timers: count('Timeout'),
      memory: heapUsed + external,
      loopStall,
      conflicts,
    }
  },
  block(ms) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
  },
  setClockOff,
  setResolver,
}

process.on('message', ({ id, name, argument }: AppCommand) => {
  tell({ id, answer: commands[name](argument as never) })
})

// What then still keeps the process alive is a leak, and shows as a process that does not end.
process.on('SIGTERM', async () => {
  process.off('disconnect', process.exit)
  await app.close()
  process.disconnect()
})
// Nobody is there any more who would end it
process.on('disconnect', process.exit)

await app.ready()
heartbeat.begin() // what stood still while it started is nobody's wait
await app.listen({ host: '127.0.0.1', port: config.port })
tell({ listening: (app.server.address() as AddressInfo).port })
