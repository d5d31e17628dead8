import { join } from 'node:path'
import { type Attributes, context, metrics, trace } from '@opentelemetry/api'
import {
  AggregationTemporality,
  type DataPoint,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-node'
import { type Backend, MemoryStore, SessionStore, type StoreOptions } from '@session-stores/core'
import { RedisStore } from '@session-stores/redis'
import { SqliteStore } from '@session-stores/sqlite'
import { dataFolder, removeFolder } from '@session-stores/testing'
import { RedisServer } from '@session-stores/testing/redis'
import { Redis } from 'ioredis'
import { onTestFinished } from 'vitest'

/** An SDK for the time of one test, that keeps what is exported. */
export class Telemetry {
  readonly #spans = new InMemorySpanExporter()
  readonly #metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  readonly #meterProvider = new MeterProvider({
    readers: [new PeriodicExportingMetricReader({ exporter: this.#metrics, exportIntervalMillis: 3_600_000 })],
  })

  /** Registers the SDK, and takes it away after the test. */
  static start(): Telemetry {
    const telemetry = new Telemetry()
    new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(telemetry.#spans)] }).register()
    metrics.setGlobalMeterProvider(telemetry.#meterProvider)
    onTestFinished(async () => {
      for (const api of [trace, context, metrics]) api.disable()
      await telemetry.#meterProvider.shutdown()
    })
    return telemetry
  }

  /** All spans that have ended. */
  get spans(): ReadableSpan[] {
    return this.#spans.getFinishedSpans()
  }

  /** Those of session stores. */
  get storeSpans(): ReadableSpan[] {
    return this.spans.filter(({ instrumentationScope }) => instrumentationScope.name === '@session-stores/otel')
  }

  /** The parent, its parent and so on, of what was exported. */
  ancestorsOf(span: ReadableSpan): ReadableSpan[] {
    const parent = this.spans.find((one) => one.spanContext().spanId === span.parentSpanContext?.spanId)
    return parent === undefined ? [] : [parent, ...this.ancestorsOf(parent)]
  }

  /** All metrics by name, as they are now. */
  async metrics(): Promise<Map<string, MetricData>> {
    this.#metrics.reset()
    await this.#meterProvider.forceFlush()
    const scopes = this.#metrics.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics)
    return new Map(scopes.flatMap((scope) => scope.metrics).map((metric) => [metric.descriptor.name, metric]))
  }

  /** The values of one metric now, with their attributes: those of a histogram are its counts. */
  async values(name: string): Promise<Array<{ attributes: Attributes; value: number }>> {
    const points = (await this.metrics()).get(name)?.dataPoints ?? []
    return (points as Array<DataPoint<number | { count: number }>>).map(({ attributes, value }) => ({
      attributes,
      value: typeof value === 'number' ? value : value.count,
    }))
  }
}

/** An empty store of this kind, on a file or a server of its own. All is gone after the test. */
export async function openStore(kind: string): Promise<SessionStore> {
  if (kind === 'memory') return memoryStore()
  if (kind === 'sqlite') {
    const folder = dataFolder('otel')
    onTestFinished(() => removeFolder(folder))
    return closedLater(new SqliteStore({ path: join(folder, 'sessions.sqlite') }))
  }
  const server = await RedisServer.start()
  onTestFinished(() => server.stop())
  const client = new Redis(server.url)
  onTestFinished(() => client.disconnect())
  return closedLater(new RedisStore({ client }))
}

/** Closed after the test. */
export function memoryStore(options?: StoreOptions): MemoryStore {
  return closedLater(new MemoryStore(options))
}

const VERBS = ['read', 'write', 'replace', 'touch', 'remove', 'ping', 'scan', 'findByUser', 'removeOfUser'] as const

/**
 * Answers a turn of the event loop later, as a server does, and takes the reads of one turn together.
 * @param verbs in place of its own, for what a real server does only when it is in trouble
 */
export function remoteBackend(verbs: Partial<Backend> = {}): Backend {
  const { backend } = new MemoryStore()
  const later = VERBS.map((verb) => [
    verb,
    async (...given: never[]) => {
      await new Promise(setImmediate)
      return (backend[verb] as (...given: never[]) => unknown).call(backend, ...given)
    },
  ])
  const remote = { name: 'redis', ...Object.fromEntries(later), ...verbs } as Backend
  remote.readMany ??= (keys, call) => Promise.all(keys.map((key) => remote.read(key, call)))
  return remote
}

/** A store over such a backend. Closed after the test. */
export function remoteStore(options?: StoreOptions, verbs?: Partial<Backend>): SessionStore {
  return closedLater(new SessionStore(remoteBackend(verbs), options))
}

function closedLater<Store extends SessionStore>(store: Store): Store {
  onTestFinished(() => store.close())
  return store
}
