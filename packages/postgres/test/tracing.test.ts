import { createRequire } from 'node:module'
import { trace } from '@opentelemetry/api'
import { registerInstrumentations } from '@opentelemetry/instrumentation'
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import { describe, expect, test } from 'vitest'
import { makeStore, noPostgres, testPool, useServer } from './setup.ts'

const exporter = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
provider.register()
registerInstrumentations({ tracerProvider: provider, instrumentations: [new PgInstrumentation()] })
createRequire(import.meta.url)('pg') // instruments it although it is loaded already

const SECRET = 'the-secret-of-the-session'
const USER = 'ada@example.org'

describe.skipIf(noPostgres)('OpenTelemetry’s spans', () => {
  const server = useServer()

  test('hold nothing of a session', async () => {
    const store = await makeStore({ pool: testPool(server().url()), userOf: ({ user }) => user })
    exporter.reset()
    await trace.getTracer('test').startActiveSpan('request', async (span) => {
      await store.set('id', { secret: SECRET, user: USER })
      await store.set('id', { ...(await store.get('id')), more: SECRET })
      const others = ['a', 'b', 'c']
      await Promise.all(others.map((id) => store.set(id, { secret: SECRET, user: USER })))
      const sessions = await Promise.all(others.map((id) => store.get(id)))
      await Promise.all(others.map((id, n) => store.set(id, { ...sessions[n], more: SECRET })))
      expect(await store.listByUser(USER)).toHaveLength(4)
      await expect(store.set('refused', { user: `${USER}\0${SECRET}` })).rejects.toThrow()
      expect(await store.destroyByUser(USER)).toBe(4)
      span.end()
    })
    const spans = exporter.getFinishedSpans()
    const statements = spans.map(({ attributes }) =>
      `${attributes['db.query.text'] ?? attributes['db.statement']}`.trim(),
    )
    for (const word of ['select', 'insert', 'with', 'delete']) {
      expect(statements).toContainEqual(expect.stringMatching(`^${word}\\s`))
    }
    for (const { name, attributes, events, status } of spans) {
      for (const word of [SECRET, USER])
        expect(JSON.stringify({ name, attributes, events, status })).not.toContain(word)
    }
  })
})
