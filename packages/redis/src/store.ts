import { inspect } from 'node:util'
import { DEFAULT_TIMEOUT, SessionStore, type StoreOptions } from '@session-stores/core'
import { RedisBackend } from './backend.ts'
import { checkClient, type RedisClient } from './client.ts'

export interface RedisStoreOptions extends StoreOptions {
  /**
   * The application's ioredis client, 5 or 6: a `Redis` for one server or a Sentinel set, or a `Cluster`. It may be
   * shared with other parts of the application, and stays open when the store is closed.
   */
  client: RedisClient

  /**
   * What the keys of the sessions begin with. Two stores on one server need different prefixes. With a client that has a
   * `keyPrefix` of its own, that one comes first.
   * @default 'sess:'
   */
  prefix?: string
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
    if (typeof options !== 'object' || options === null) throw wrong('options', 'an object', options)
    const { client, prefix = 'sess:', ...rest } = options
    checkClient(client)
    if (typeof prefix !== 'string' || prefix === '') throw wrong('prefix', 'a non-empty string', prefix)
    super(new RedisBackend(client, prefix, rest.timeout ?? DEFAULT_TIMEOUT, rest.now ?? Date.now), rest)
  }
}

function wrong(name: string, wants: string, value: unknown): TypeError {
  return new TypeError(`${name} must be ${wants}; got ${inspect(value, { depth: 0 })}`)
}
