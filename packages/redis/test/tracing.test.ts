import { tracingChannel } from 'node:diagnostics_channel'
import { createRequire } from 'node:module'
import { trace } from '@opentelemetry/api'
import { registerInstrumentations } from '@opentelemetry/instrumentation'
import { IORedisInstrumentation } from '@opentelemetry/instrumentation-ioredis'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import { RedisServer } from '@session-stores/testing/redis'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { RedisStore } from '../src/index.ts'
import { drivers, freshPrefix } from './drivers.ts'

const exporter = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
provider.register()
registerInstrumentations({ tracerProvider: provider, instrumentations: [new IORedisInstrumentation()] })
// Instruments each version of the driver when it is required, although it is loaded already.
for (const name of ['ioredis', 'ioredis5']) createRequire(import.meta.url)(name)

const server = await RedisServer.start()
afterAll(() => server.stop())

const SECRET = 'the-secret-of-the-session'
const USER = 'ada@example.org'
const userOf = ({ user }: { user?: string }) => user

/** Every command by which a store writes or reads a session. */
async function useEverything(store: RedisStore): Promise<void> {
  await server.cli('SCRIPT', 'FLUSH') // so that the scripts are sent whole, too
  const cookie = (ms: number) => ({ expires: new Date(Date.now() + ms), originalMaxAge: 60_000 })
  await store.set('id', { secret: SECRET, cookie: cookie(60_000) })
  for (let n = 0; n < 2; n += 1) {
    await store.set('id', { ...(await store.get('id')), more: `${SECRET}${n}` })
    await store.set('id', { ...(await store.get('id')), cookie: cookie(90_000 + n * 60_000) })
  }
  expect(await store.get('id')).toMatchObject({ secret: SECRET, more: `${SECRET}1` })
  for await (const { session } of store.scan()) expect(session.secret).toBe(SECRET)
  const others = ['a', 'b', 'c']
  await Promise.all(others.map((id) => store.set(id, { secret: SECRET, user: USER })))
  const sessions = await Promise.all(others.map((id) => store.get(id)))
  await Promise.all(others.map((id, n) => store.set(id, { ...sessions[n], more: SECRET })))
  expect(await store.listByUser(USER)).toHaveLength(3)
  expect(await store.destroyByUser(USER, { except: 'a' })).toBe(2)
  await store.destroy('id')
  await store.destroy('a')
}

test.each(drivers)('$name: OpenTelemetry’s spans hold nothing of a session', async ({ redis }) => {
  const store = new RedisStore({ client: redis(server), prefix: freshPrefix(), touchInterval: 0, userOf })
  exporter.reset()
  await trace.getTracer('test').startActiveSpan('request', async (span) => {
    await useEverything(store)
    span.end()
  })
  const spans = exporter.getFinishedSpans()
  expect(spans.map(({ name }) => name)).toEqual(expect.arrayContaining(['set', 'get', 'mget', 'evalsha', 'eval']))
  for (const { name, attributes, events } of spans) {
    for (const word of [SECRET, USER]) expect(JSON.stringify({ attributes, events }), name).not.toContain(word)
  }
})

test.each(drivers)('$name: nor does what the driver itself publishes', async ({ redis }) => {
  const store = new RedisStore({ client: redis(server), prefix: freshPrefix(), touchInterval: 0, userOf })
  const published: unknown[] = []
  const channel = tracingChannel('ioredis:command')
  const start = (message: unknown) => published.push(message)
  channel.subscribe({ start } as never)
  onTestFinished(() => channel.unsubscribe({ start } as never))
  await useEverything(store)
  const commands = published as Array<{ command: string; args: unknown[] }>
  expect(commands.map(({ command }) => command)).toEqual(expect.arrayContaining(['set', 'get', 'mget', 'evalsha']))
  for (const { command, args } of commands) {
    for (const word of [SECRET, USER]) expect(JSON.stringify(args), command).not.toContain(word)
  }
})
