// The queries of docs/ ask for what is there: the dashboard for Grafana and the alerts for Prometheus.
import { readFileSync } from 'node:fs'
import { metrics } from '@opentelemetry/api'
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { MemoryStore, SessionStore } from '@session-stores/core'
import { freePort } from '@session-stores/testing'
import { beforeAll, describe, expect, test } from 'vitest'
import { instrument } from '../src/index.ts'
import { parsePromQl } from './promql.ts'
import { remoteBackend } from './setup.ts'

interface Panel {
  title: string
  targets: Array<{ expr: string; legendFormat: string }>
}

interface Dashboard {
  panels: Panel[]
  templating: { list: Array<{ name: string; definition?: string }> }
}

const dashboard = JSON.parse(read('grafana-dashboard.json')) as Dashboard
const alerts = [...read('recipes.md').matchAll(/^ *expr: (.*)$/gm)].map(([, query = '']) => query)

/** The labels of each time series that Prometheus finds in a process, by its name. */
let exported: Map<string, Set<string>>

beforeAll(async () => {
  exported = await scrape()
})

test('all is exported that the package has, under names that Prometheus takes', () => {
  expect([...exported.keys()].filter((name) => name !== 'target_info').sort()).toEqual([
    'db_client_operation_duration_bucket',
    'db_client_operation_duration_count',
    'db_client_operation_duration_sum',
    'session_store_operations_total',
    'session_store_unopened_total',
    'session_store_up',
  ])
})

describe('the dashboard', () => {
  const targets = dashboard.panels.flatMap(({ title, targets }) => targets.map((target) => ({ title, ...target })))
  const queries = targets.map(({ expr, ...rest }) => ({
    ...rest,
    query: expr.replaceAll('$__rate_interval', '5m').replaceAll('$store', '.+'),
  }))

  test.each(queries)('$title: $legendFormat', ({ query, legendFormat }) => {
    expectToBeAnswered(query)
    const shown = [...legendFormat.matchAll(/{{(.*?)}}/g)].map(([, label]) => label)
    expect(parsePromQl(query).grouping).toEqual(expect.arrayContaining(shown))
  })

  test('shows every metric', () => {
    const metrics = queries.flatMap(({ query }) => parsePromQl(query).selectors).map(({ metric }) => metric)
    const unseen = [...exported.keys()].filter((name) => !metrics.some((metric) => metric.test(name)))
    expect(unseen).toEqual(['target_info', 'db_client_operation_duration_sum'])
  })

  test('finds the histogram also under the name that it has behind a Collector', () => {
    const metrics = queries.flatMap(({ query }) => parsePromQl(query).selectors).map(({ metric }) => metric)
    for (const name of exported.keys()) {
      if (!name.startsWith('db_client_operation_duration_')) continue
      const there = name.replace('duration_', 'duration_seconds_')
      for (const metric of metrics) expect(metric.test(there), `${metric} and ${there}`).toBe(metric.test(name))
    }
  })

  test('lists the stores', () => {
    const { definition = '' } = dashboard.templating.list.find(({ name }) => name === 'store') ?? {}
    const [, name = '', label = ''] = /^label_values\((\w+), (\w+)\)$/.exec(definition) ?? []
    expect(exported.get(name)).toContain(label)
  })
})

describe('the alerts', () => {
  test.each(alerts)('%s', (query) => expectToBeAnswered(query))

  test('are found', () => expect(alerts.length).toBeGreaterThan(2))
})

/** The query is well formed, each metric it names is exported, and has the labels that it matches and groups by. */
function expectToBeAnswered(query: string): void {
  const { selectors, grouping } = parsePromQl(query)
  for (const { metric, labels } of selectors) {
    const found = [...exported].filter(([name]) => metric.test(name))
    expect(found.length, `metrics called ${metric}`).toBe(1)
    for (const [, known] of found) expect([...known]).toEqual(expect.arrayContaining([...labels, ...grouping]))
  }
}

/** What a process exports in which everything has happened once. */
async function scrape(): Promise<Map<string, Set<string>>> {
  const port = await freePort()
  const exporter = new PrometheusExporter({ host: '127.0.0.1', port })
  const provider = new MeterProvider({ readers: [exporter] })
  metrics.setGlobalMeterProvider(provider)
  const stop = instrument()

  const plain = new MemoryStore()
  await plain.set('id', {})
  await new SessionStore(plain.backend, { encryptionKeys: ['ab'.repeat(32)] }).get('id')
  const hang = () => new Promise<never>(() => {})
  const backend = remoteBackend({ read: hang, ping: hang, partOf: () => '10.0.0.7:11211' })
  const store = new SessionStore(backend, { timeout: 50 })
  await store.get('id').catch(() => {})

  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  stop()
  await store.close()
  metrics.disable()
  await provider.shutdown()
  const found = new Map<string, Set<string>>()
  for (const [, name = '', labels = ''] of text.matchAll(/^(\w+)(?:{(.*)})? \S+$/gm)) {
    const known = found.get(name) ?? new Set()
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) known.add(label)
    found.set(name, known)
  }
  return found
}

function read(file: string): string {
  return readFileSync(new URL(`../../../docs/${file}`, import.meta.url), 'utf8')
}
