import { hash } from 'node:crypto'
import { newVersion, type SessionRecord, type StoredRecord, type Version } from '@session-stores/core'
import { MemcachedServer } from '@session-stores/testing/memcached'
import { Wire } from '@session-stores/testing/memcached-wire'
import memjs from 'memjs'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { MemcachedStore, type MemcachedStoreOptions } from '../src/index.ts'

/** For describe.skipIf, so that what is left out shows in the report. */
export const noMemcached = process.env.SKIP_MEMCACHED === '1'

/** What it can do beyond the five verbs. */
export const abilities = ['ping', 'insert', 'clear', 'check'] as const

/** So many servers for the tests of a `describe`. */
export function useServers(count: number, ...options: string[]): () => MemcachedServer[] {
  const servers: MemcachedServer[] = []
  beforeAll(async () => {
    servers.push(...(await Promise.all(Array.from({ length: count }, () => MemcachedServer.start(...options)))))
  })
  afterAll(() => Promise.all(servers.map((server) => server.kill())))
  return () => servers
}

/** A server for one test. */
export async function testServer(...options: string[]): Promise<MemcachedServer> {
  const server = await MemcachedServer.start(...options)
  onTestFinished(() => server.kill())
  return server
}

/** One client for the tests of a `describe`, as an application makes it. */
export function useClient(servers: () => Address[]): () => memjs.Client {
  let client: memjs.Client | undefined
  beforeAll(() => {
    client = memjs.Client.create(listOf(servers()))
  })
  afterAll(() => client?.close())
  return () => {
    if (!client) throw new Error('called outside a test')
    return client
  }
}

/** A client for one test. */
export function testClient(servers: Address[], options: memjs.ClientOptions & memjs.ServerOptions = {}): memjs.Client {
  const client = memjs.Client.create(listOf(servers), options)
  onTestFinished(() => client.close())
  return client
}

/** A store for one test, with a client of its own, as another process would have it. */
export function testStore(servers: Address[], options: Partial<MemcachedStoreOptions> = {}): MemcachedStore {
  const store = new MemcachedStore({ ...options, client: options.client ?? testClient(servers) })
  onTestFinished(() => store.close())
  return store
}

/** The same for a test that is not about time, and asks for much at once: it does not give up on a busy machine. */
export function patientStore(servers: Address[], options: Partial<MemcachedStoreOptions> = {}): MemcachedStore {
  return testStore(servers, { timeout: 40_000, ...options })
}

/** The records of a store; each write makes its version. */
export function recordsOf({ backend }: MemcachedStore) {
  return {
    read: async (key: string) => (await backend.read(key)) as StoredRecord | undefined,
    async write(key: string, record: SessionRecord): Promise<Version> {
      const version = newVersion()
      await backend.write(key, record, version)
      return version
    },
    /** The new version, or why there is none. */
    async replace(key: string, record: SessionRecord, expected: Version): Promise<Version | 'conflict' | 'missing'> {
      const version = newVersion()
      const answer = await backend.replace(key, record, version, expected)
      return answer === 'replaced' ? version : answer
    },
    touch: async (key: string, expiresAt: number, expected: Version) => backend.touch(key, expiresAt, expected),
    remove: async (key: string) => backend.remove(key),
  }
}

interface Address {
  address: string
}

function listOf(servers: Address[]): string {
  return servers.map(({ address }) => address).join(',')
}

let prefixes = 0

/** A prefix that nothing else on the servers has: to a store, empty servers. */
export function freshPrefix(): string {
  prefixes += 1
  return `test${prefixes}:`
}

/** A cable to the server for one test. */
export async function testWire(server: MemcachedServer): Promise<Wire> {
  const wire = await Wire.to(server.port)
  onTestFinished(() => wire.stop())
  return wire
}

/** A record as core makes them. */
export function recordOf(data: string, lifetime = 60_000): SessionRecord {
  const now = Date.now()
  return { data, createdAt: now, expiresAt: now + lifetime }
}

/** The storage key of the session with this id. */
export function keyOf(sessionId: string): string {
  return hash('sha256', sessionId, 'base64url')
}

/** The key of that session's item on the server. */
export async function itemKey(server: MemcachedServer, sessionId: string, prefix = 'sess:'): Promise<string> {
  const generation = /\r\n(.*)\r\n/.exec(await server.ask(`get ${prefix}generation`))?.[1]
  return `${prefix}${generation}:${keyOf(sessionId)}`
}

/** What every operation on a server that is down ends with. */
export const unavailable = { code: 'SESSION_STORE_UNAVAILABLE', statusCode: 503 }
