import { SessionStore, type StoreOptions } from '@session-stores/core'
import { RedisBackend } from './backend.ts'
import { Connection, type RedisClient } from './driver.ts'

export interface RedisStoreOptions extends StoreOptions {
  /**
   * The application's ioredis client, 5.11 or newer: a `Redis` for one server or a Sentinel set, or a `Cluster`. The store
   * opens a connection of its own with the same settings, at its first use, and closes it when the store is closed or
   * this client ends. The client itself is sent nothing, and need not be connected.
   */
  client: RedisClient

  /**
   * What the keys of the sessions begin with. Two stores on one server need different prefixes. With a client that has a
   * `keyPrefix` of its own, that one comes first.
   * @default 'sess:'
   */
  prefix?: string | undefined
}

/**
 * Keeps sessions in Redis: one server, a Sentinel set or a Cluster. One key a session, collected by the server some
 * minutes after the session's end.
 *
 * @typeParam Session what the application keeps in a session; `Fastify.Session` for what `request.session` holds
 */
// biome-ignore lint/suspicious/noExplicitAny: see SessionStore
export class RedisStore<Session extends object = any> extends SessionStore<Session> {
  /** @throws TypeError that names the wrong option */
  constructor(options: RedisStoreOptions) {
    if (typeof options !== 'object' || options === null) {
      throw wrong('options', 'an object, such as { client: new Redis(url) }', options)
    }
    const { client, prefix = 'sess:', ...rest } = options
    checkClient(client)
    if (typeof prefix !== 'string' || prefix === '') throw wrong('prefix', 'a non-empty string', prefix)
    super(new RedisBackend(Connection.of(client), keyPrefixOf(client) + prefix), rest)
  }
}

/** @throws TypeError when it is no ioredis client, or one that may answer with old sessions */
function checkClient(client: unknown): asserts client is RedisClient {
  const has = (client ?? {}) as Record<string, unknown>
  const verbs = ['get', 'evalsha', 'connect', 'duplicate', 'on']
  if (typeof has.status !== 'string' || !verbs.every((verb) => typeof has[verb] === 'function')) {
    throw wrong('client', 'a Redis or Cluster of ioredis, such as new Redis(url)', client)
  }
  const { scaleReads = 'master', role = 'master' } = (has.options ?? {}) as { scaleReads?: unknown; role?: unknown }
  if (scaleReads !== 'master' || role !== 'master') {
    const option = role === 'slave' ? "role: 'slave'" : 'scaleReads'
    throw new TypeError(
      `client must read from masters, but was made with ${option}: ` +
        'a replica may not have the session yet that the last request saved, or still have one that was destroyed',
    )
  }
}

function keyPrefixOf(client: RedisClient): string {
  return (client as { options?: { keyPrefix?: string } }).options?.keyPrefix ?? ''
}

/** Says only what kind of value came: a client or a URL may hold a password. */
function wrong(name: string, wants: string, value: unknown): TypeError {
  return new TypeError(`${name} must be ${wants}; got ${kindOf(value)}`)
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return `${value}`
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
