import { FastifyOtelInstrumentation } from '@fastify/otel'
import { context, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { Browser, buildApp, Gate } from '@session-stores/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { instrument } from '../src/index.ts'
import { memoryStore, openStore, remoteStore, Telemetry } from './setup.ts'

function start(): Telemetry {
  const telemetry = Telemetry.start()
  onTestFinished(instrument())
  return telemetry
}

const kinds = ['memory', 'sqlite', ...(process.env.SKIP_REDIS === '1' ? [] : ['redis'])]

describe.each(kinds)('with @fastify/otel and @fastify/session, on %s', (kind) => {
  async function startApp(gate?: Gate) {
    const telemetry = start()
    const instrumentation = new FastifyOtelInstrumentation({ registerOnInitialization: true })
    onTestFinished(() => instrumentation.disable())
    const app = buildApp(await openStore(kind), gate)
    onTestFinished(() => app.close())
    await app.listen({ host: '127.0.0.1', port: 0 })
    return { telemetry, app }
  }

  test('the spans of the store belong to the span of the request', async () => {
    const { telemetry, app } = await startApp()
    const browser = new Browser(app)
    await browser.post('/login/ada')
    const before = telemetry.storeSpans.length
    await browser.get('/me')
    const spans = telemetry.storeSpans.slice(before)
    expect(spans.map(({ name, attributes }) => [name, attributes['session.outcome']])).toEqual([
      ['get sessions', 'hit'],
      ['set sessions', 'skipped'],
    ])
    for (const span of spans) {
      const root = telemetry.ancestorsOf(span).at(-1)
      expect(root).toMatchObject({ name: 'request', attributes: { 'http.route': '/me' } })
    }
  })

  test('requests at the same time keep their spans apart, also those begun once the session is there', async () => {
    const gate = new Gate()
    const { telemetry, app } = await startApp(gate)
    const browser = new Browser(app)
    await browser.post('/login/ada')
    const answers = Array.from({ length: 20 }, (_, n) => new Browser(app, browser.cookie).post(`/slow/set/key${n}/1`))
    await gate.entered(20)
    gate.open()
    await Promise.all(answers)
    const requests = telemetry.spans.filter(({ attributes }) => attributes['http.route'] === '/slow/set/:key/:value')
    const roots = requests.filter(({ name }) => name === 'request')
    expect(roots.length).toBe(20)
    for (const root of roots) {
      const own = telemetry.storeSpans.filter((span) => telemetry.ancestorsOf(span).at(-1) === root)
      expect(own.map(({ name }) => name)).toEqual(['get sessions', 'set sessions'])
    }
  })
})

describe('a span', () => {
  test('says what the conventions ask for, and what it came to', async () => {
    const telemetry = start()
    const store = remoteStore({ name: 'carts' })
    await store.get('id')
    expect(telemetry.storeSpans).toMatchObject([{ name: 'get sessions', kind: SpanKind.CLIENT }])
    expect(telemetry.storeSpans[0]?.attributes).toEqual({
      'db.system.name': 'redis',
      'db.operation.name': 'get',
      'session.store.name': 'carts',
      'session.outcome': 'miss',
    })
    expect(telemetry.storeSpans[0]?.status.code).toBe(SpanStatusCode.UNSET)
  })

  test('within the process is internal', async () => {
    const telemetry = start()
    await memoryStore().get('id')
    expect(telemetry.storeSpans).toMatchObject([
      { kind: SpanKind.INTERNAL, attributes: { 'db.system.name': 'memory', 'session.store.name': 'memory' } },
    ])
  })

  test.each([
    ['memcached', 'memcached'],
    ['postgres', 'postgresql'],
    ['sqlite', 'sqlite'],
    ['lmdb', 'lmdb'],
  ])('of a store of the kind %s names the system %s', async (kind, system) => {
    const telemetry = start()
    await remoteStore({}, { name: kind }).get('id')
    expect(telemetry.storeSpans[0]?.attributes).toMatchObject({
      'db.system.name': system,
      'session.store.name': kind,
    })
  })

  test('lasts as long as the caller waits', async () => {
    const telemetry = start()
    const read = async () => {
      await new Promise((resolve) => setTimeout(resolve, 60))
      return undefined
    }
    await remoteStore({}, { read }).get('id')
    const [seconds = 0, nanoseconds = 0] = telemetry.storeSpans[0]?.duration ?? []
    expect(seconds * 1000 + nanoseconds / 1e6).toBeGreaterThan(50)
  })

  test('says how many calls went to the server together', async () => {
    const telemetry = start()
    const store = remoteStore()
    await Promise.all([store.get('a'), store.get('b'), store.get('c')])
    expect(telemetry.storeSpans.map(({ attributes }) => attributes['session.batch.size'])).toEqual([3, 3, 3])
  })

  test('is a child of the span that was active where the store was called, also when calls go together', async () => {
    const telemetry = start()
    const store = remoteStore()
    const tracer = trace.getTracer('application')
    const parents = ['a', 'b', 'c'].map((id) => tracer.startSpan(id))
    const seen = await Promise.all(
      parents.map((parent, n) =>
        context.with(
          trace.setSpan(context.active(), parent),
          () => new Promise((resolve) => store.get(`${n}`, () => resolve(trace.getActiveSpan()))),
        ),
      ),
    )
    expect(telemetry.storeSpans.map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual(idsOf(parents))
    expect(seen).toEqual(parents)
  })

  test('of an operation that failed has the error as its type, and nothing that could quote a session', async () => {
    const telemetry = start()
    const store = remoteStore({ timeout: 50 }, { read: () => Promise.reject(new Error('ada')) })
    await store.get('id').catch(() => {})
    expect(telemetry.storeSpans).toMatchObject([
      {
        status: { code: SpanStatusCode.ERROR },
        attributes: { 'session.outcome': 'error', 'error.type': 'SESSION_STORE_UNAVAILABLE' },
        events: [],
      },
    ])
    expect(telemetry.storeSpans[0]?.status.message).toBeUndefined()
  })

  test.each([
    [new RangeError('ada'), 'RangeError'],
    [Object.assign(new Error('ada'), { name: 'ada', code: 'ada' }), 'Error'],
    ['ada', '_OTHER'],
    [undefined, '_OTHER'],
  ])('of an error of the application has its class: %o', async (thrown, type) => {
    const telemetry = start()
    const userOf = () => {
      throw thrown
    }
    await remoteStore({ userOf })
      .set('id', {})
      .catch(() => {})
    expect(telemetry.storeSpans[0]?.attributes).toMatchObject({ 'session.outcome': 'error', 'error.type': type })
  })

  test('of a touch that the server refused, and the caller was spared, is no error', async () => {
    const telemetry = start()
    const refuse = () => Promise.reject(new Error('no writes now'))
    const store = remoteStore({ touchInterval: 0 }, { touch: refuse })
    const session = { cookie: { expires: new Date(Date.now() + 60_000), originalMaxAge: 60_000 } }
    await store.set('id', session)
    const loaded = await store.get('id')
    loaded.cookie.expires = new Date(Date.now() + 61_000)
    await store.set('id', loaded)
    const last = telemetry.storeSpans.at(-1)
    expect(last?.attributes).toMatchObject({ 'db.operation.name': 'set', 'session.outcome': 'refused' })
    expect(last?.attributes).not.toHaveProperty('error.type')
    expect(last?.status.code).toBe(SpanStatusCode.UNSET)
  })

  test('is made of a ping only within another one: health checks would each be a trace', async () => {
    const telemetry = start()
    const store = memoryStore()
    await store.ping()
    expect(telemetry.storeSpans).toEqual([])
    const parent = trace.getTracer('application').startSpan('check')
    await context.with(trace.setSpan(context.active(), parent), () => store.ping())
    expect(telemetry.storeSpans.map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual(idsOf([parent]))
  })
})

test('every operation has its span', async () => {
  const telemetry = start()
  const store = memoryStore({ userOf: (session) => session.user })
  const session = { user: 'ada' }
  await store.set('id', session)
  await store.get('id')
  await store.touch('id', session)
  await store.count()
  for await (const _ of store.scan());
  await store.index()
  await store.listByUser('ada')
  await store.destroyByUser('ada')
  await store.destroy('id')
  await store.prune()
  await store.clear()
  const names = telemetry.storeSpans.map(({ attributes }) => attributes['db.operation.name'])
  expect(names).toEqual([
    ...['set', 'get', 'touch', 'count', 'scan', 'index', 'listByUser', 'destroyByUser', 'destroy', 'prune', 'clear'],
  ])
})

function idsOf(spans: Span[]): string[] {
  return spans.map((span) => span.spanContext().spanId)
}
