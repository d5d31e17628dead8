import { inspect } from 'node:util'

/** What the store uses of a connection to one server: ioredis' `Redis`, 5 or 6. */
export interface RedisConnection extends Client {
  ping(): Promise<unknown>
  scan(cursor: string, match: 'MATCH', pattern: string, count: 'COUNT', size: number): Promise<[string, string[]]>
  call(command: string, ...args: string[]): Promise<unknown>
}

interface Client {
  readonly status: string
  connect(): Promise<unknown>
  disconnect(reconnect?: boolean): void
  once(event: 'ready' | 'close', listener: () => void): unknown
  off(event: 'ready' | 'close', listener: () => void): unknown
}

interface Commands {
  get(key: string): Promise<string | null>
  set(key: string, value: string, px: 'PX', ms: number): Promise<unknown>
  del(key: string): Promise<unknown>
  unlink(...keys: string[]): Promise<unknown>
  eval(script: string, numberOfKeys: number, ...keyAndArgs: string[]): Promise<unknown>
  evalsha(sha1: string, numberOfKeys: number, ...keyAndArgs: string[]): Promise<unknown>
}

interface Single extends RedisConnection, Commands {}

/** What the store uses of ioredis' `Cluster`, 5 or 6. */
export interface RedisCluster extends Client, Commands {
  nodes(role: 'master'): RedisConnection[]
}

/** A client of ioredis 5 or 6: `Redis`, for one server or a Sentinel set, or `Cluster`. Never looked up by its class. */
export type RedisClient = Single | RedisCluster

/** What a client was made with, as far as it matters here. */
export interface ClientOptions {
  keyPrefix?: string
  scaleReads?: unknown
  role?: unknown
  sentinels?: unknown
  host?: string
  port?: number
  path?: string
  Connector?: unknown
  enableOfflineQueue?: boolean
}

export function isCluster(client: RedisClient): client is RedisCluster {
  return (client as { isCluster?: boolean }).isCluster === true
}

export function optionsOf(client: RedisClient): ClientOptions {
  return (client as { options?: ClientOptions }).options ?? {}
}

/** What ioredis, 5 and 6, has no method for. */
export interface Internals {
  /** Runs while the client waits to connect again: null in that status says that its owner closed it. */
  reconnectTimeout?: NodeJS.Timeout | null
  stream?: { bytesRead?: number; destroy?: () => void }
}

/** @throws TypeError when it is no ioredis client, or one that may answer with old sessions */
export function checkClient(client: unknown): asserts client is RedisClient {
  const has = (client ?? {}) as Record<string, unknown>
  const verbs = ['get', 'set', 'del', 'unlink', 'eval', 'evalsha', 'scan', 'connect', 'duplicate']
  if (typeof has.status !== 'string' || !verbs.every((verb) => typeof has[verb] === 'function')) {
    throw new TypeError(`client must be a Redis or Cluster of ioredis; got ${inspect(client, { depth: -1 })}`)
  }
  const { scaleReads, role } = optionsOf(client as RedisClient)
  if ((scaleReads ?? 'master') !== 'master' || (role ?? 'master') !== 'master') {
    const option = role === 'slave' ? "role: 'slave'" : 'scaleReads'
    throw new TypeError(
      `client must read from masters, but was made with ${option}: ` +
        'a replica may not have the session yet that the last request saved, or still have one that was destroyed',
    )
  }
}
