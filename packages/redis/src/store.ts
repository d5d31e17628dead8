import {
  checkOptions,
  type OptionRules,
  SessionStore,
  type StoreOptions,
  storeRules,
  wrongOption,
} from '@session-stores/core'
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
    checkOptions(options, rules, elsewhere)
    const { client, prefix = 'sess:', ...rest } = options
    checkClient(client)
    super(new RedisBackend(Connection.of(client), keyPrefixOf(client) + prefix, rest.userOf !== undefined), rest)
  }
}

const rules: OptionRules = {
  client: { wants: 'a Redis or Cluster of ioredis, such as new Redis(url)', isRight: isClient },
  prefix: { wants: 'a non-empty string', isRight: (value) => typeof value === 'string' && value !== '' },
  ...storeRules,
}

/** What other stores call these options. */
const elsewhere = {
  redis: 'client, a client of ioredis',
  url: 'client, a client of ioredis',
  host: 'client, a client of ioredis',
  port: 'client, a client of ioredis',
  socket: 'client, a client of ioredis',
  keyPrefix: 'prefix',
  disableTTL: 'ttl, in ms',
  disableTouch: 'touchInterval, in ms',
  scanCount: 'not needed',
}

function isClient(value: unknown): boolean {
  const has = (value ?? {}) as Record<string, unknown>
  const verbs = ['get', 'evalsha', 'connect', 'duplicate', 'on']
  return typeof has.status === 'string' && verbs.every((verb) => typeof has[verb] === 'function')
}

/** @throws TypeError when there is none, or it may answer with old sessions */
function checkClient(client: unknown): asserts client is RedisClient {
  if (client === undefined) throw wrongOption('client', rules.client?.wants ?? '', undefined)
  const has = client as { options?: object }
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
