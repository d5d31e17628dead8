import { DataPointType } from '@opentelemetry/sdk-metrics'
import type { Backend } from '@session-stores/core'
import { RedisStore } from '@session-stores/redis'
import { RedisServer } from '@session-stores/testing/redis'
import { Redis } from 'ioredis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { instrument } from '../src/index.ts'
import { memoryStore, remoteStore, Telemetry } from './setup.ts'

function start(): Telemetry {
  const telemetry = Telemetry.start()
  onTestFinished(instrument())
  return telemetry
}

const carts = { 'db.system.name': 'redis', 'session.store.name': 'carts' }

describe('db.client.operation.duration', () => {
  test('is a histogram in seconds, with the boundaries and attributes of the conventions', async () => {
    const telemetry = start()
    const wait = async () => {
      await new Promise((resolve) => setTimeout(resolve, 60))
      return undefined
    }
    const store = remoteStore({ name: 'carts' }, { read: wait })
    await store.get('a')
    await store.get('b')
    await store.destroy('a')
    const metric = (await telemetry.metrics()).get('db.client.operation.duration')
    expect(metric).toMatchObject({
      descriptor: { unit: 's', description: 'Duration of database client operations.' },
      dataPointType: DataPointType.HISTOGRAM,
    })
    const operation = { ...carts, 'session.outcome': 'miss' }
    expect(metric?.dataPoints).toMatchObject([
      {
        attributes: { ...operation, 'db.operation.name': 'get' },
        value: {
          count: 2,
          sum: expect.closeTo(0.12, -1), // not 120
          buckets: { boundaries: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10] },
        },
      },
      { attributes: { ...operation, 'db.operation.name': 'destroy' }, value: { count: 1 } },
    ])
  })

  test('has the type of the error of what failed', async () => {
    const telemetry = start()
    const store = remoteStore({ name: 'carts' }, { read: () => Promise.reject(new Error('no server')) })
    await store.get('id').catch(() => {})
    expect(await telemetry.values('db.client.operation.duration')).toEqual([
      {
        attributes: {
          ...carts,
          'db.operation.name': 'get',
          'session.outcome': 'error',
          'error.type': 'SESSION_STORE_UNAVAILABLE',
        },
        value: 1,
      },
    ])
  })
})

test('session.store.operations counts by operation and outcome', async () => {
  const telemetry = start()
  const store = remoteStore({ name: 'carts' })
  await store.set('id', { visits: 1 })
  const [one, other] = [await store.get('id'), await store.get('id')]
  await store.set('id', { ...one, visits: 2 })
  await store.set('id', { ...other, cart: [] })
  await store.set('id', await store.get('id'))
  await store.destroy('id')
  await store.set('id', { ...one, visits: 3 })
  await store.get('id')
  const counted = (await telemetry.values('session.store.operations')).map(({ attributes, value }) => {
    const { 'db.operation.name': operation, 'session.outcome': outcome, ...rest } = attributes
    expect(rest).toEqual(carts)
    return `${operation} ${outcome}: ${value}`
  })
  expect(counted).toEqual([
    ...['set written: 2', 'get hit: 3', 'set merged: 1', 'set skipped: 1'],
    ...['destroy removed: 1', 'set dropped: 1', 'get miss: 1'],
  ])
})

describe('session.store.up', () => {
  test('is 1 from the first operation on, for each store', async () => {
    const telemetry = start()
    await remoteStore({ name: 'carts' }).get('id')
    await memoryStore().ping()
    expect(await telemetry.values('session.store.up')).toEqual([
      { attributes: carts, value: 1 },
      { attributes: { 'db.system.name': 'memory', 'session.store.name': 'memory' }, value: 1 },
    ])
  })

  test('is 0 while the server is taken for down, and 1 when it has answered', async () => {
    const telemetry = start()
    const server = new Server()
    const store = remoteStore({ name: 'carts', timeout: 50 }, server.verbs)
    server.isDown = true
    await store.get('id').catch(() => {})
    expect(await telemetry.values('session.store.up')).toEqual([{ attributes: carts, value: 0 }])
    server.isDown = false
    await expect
      .poll(() => telemetry.values('session.store.up'), { timeout: 5000 })
      .toEqual([{ attributes: carts, value: 1 }])
  })

  test.skipIf(process.env.SKIP_REDIS === '1')('follows a Redis that is killed and started again', async () => {
    const telemetry = start()
    const server = await RedisServer.start()
    onTestFinished(() => server.stop())
    const client = new Redis(server.url)
    client.on('error', () => {}) // the gauge tells of it
    onTestFinished(() => client.disconnect())
    const store = new RedisStore({ client, name: 'carts', timeout: 300 })
    onTestFinished(() => store.close())
    await store.get('id')
    await server.kill()
    await store.get('id').catch(() => {})
    expect(await telemetry.values('session.store.up')).toEqual([{ attributes: carts, value: 0 }])
    await server.start()
    await expect
      .poll(() => telemetry.values('session.store.up'), { timeout: 5000 })
      .toEqual([{ attributes: carts, value: 1 }])
  })

  test('is told for each part of the server that has been down', async () => {
    const telemetry = start()
    const server = new Server()
    const store = remoteStore({ name: 'carts', timeout: 50 }, { ...server.verbs, partOf: () => '10.0.0.7:11211' })
    server.isDown = true
    await store.get('id').catch(() => {})
    expect(await telemetry.values('session.store.up')).toEqual([
      { attributes: { ...carts, 'session.store.part': '10.0.0.7:11211' }, value: 0 },
      { attributes: carts, value: 1 },
    ])
  })

  test('of two stores of one name is 0 until both are back', async () => {
    const telemetry = start()
    const servers = [new Server(), new Server()]
    for (const server of servers) {
      server.isDown = true
      await remoteStore({ name: 'carts', timeout: 50 }, server.verbs)
        .get('id')
        .catch(() => {})
    }
    for (const server of servers) {
      expect(await telemetry.values('session.store.up')).toEqual([{ attributes: carts, value: 0 }])
      server.isDown = false
      await expect.poll(() => server.pings, { timeout: 5000 }).toBeGreaterThan(0)
    }
    await expect
      .poll(() => telemetry.values('session.store.up'), { timeout: 5000 })
      .toEqual([{ attributes: carts, value: 1 }])
  })

  test('does not stay at 0 for a store that was closed during an outage', async () => {
    const telemetry = start()
    const server = new Server()
    server.isDown = true
    const store = remoteStore({ name: 'carts', timeout: 50 }, server.verbs)
    await store.get('id').catch(() => {})
    await store.close()
    expect(await telemetry.values('session.store.up')).toEqual([{ attributes: carts, value: 1 }])
  })

  test('counts no end of an outage that began before anybody listened', async () => {
    const server = new Server()
    server.isDown = true
    const store = remoteStore({ name: 'carts', timeout: 50 }, server.verbs)
    await store.get('id').catch(() => {})
    const telemetry = start()
    server.isDown = false
    await expect.poll(() => store.get('id').catch(() => 'down'), { timeout: 5000 }).toBeNull()
    server.isDown = true
    await store.get('id').catch(() => {})
    expect(await telemetry.values('session.store.up')).toEqual([{ attributes: carts, value: 0 }])
  })
})

test('session.store.unopened counts sessions that no key opens', async () => {
  const telemetry = start()
  const plain = memoryStore()
  await plain.set('id', {})
  await remoteStore(
    { name: 'carts', encryptionKeys: ['ab'.repeat(32)] },
    { read: (...given) => plain.backend.read(given[0]) },
  ).get('id')
  expect(await telemetry.values('session.store.unopened')).toEqual([{ attributes: carts, value: 1 }])
})

/** A server that can stop answering. */
class Server {
  isDown = false
  pings = 0
  readonly verbs: Partial<Backend> = {
    read: async () => (this.isDown ? new Promise<never>(() => {}) : undefined),
    ping: async () => {
      if (this.isDown) return new Promise<never>(() => {})
      this.pings += 1
    },
  }
}
