import { inspect } from 'node:util'
import { DEFAULT_TIMEOUT, SessionStore, type StoreOptions } from '@session-stores/core'
import { MemcachedBackend } from './backend.ts'
import { checkClient, type MemjsClient, type MemjsServer, ownGetServer } from './memjs.ts'
import { ringOf } from './ring.ts'
import { Server } from './server.ts'

/** The longest prefix that leaves room for the rest of a key of 250 bytes, and then some. */
const MAX_PREFIX = 128

export interface MemcachedStoreOptions extends StoreOptions {
  /** A memjs client, from `Client.create()`, with one server or several. The store never closes it. */
  client: MemjsClient

  /**
   * What the keys of this store begin with, so that several stores and other data can share the servers. Printable ASCII
   * without spaces, 1 to 128 characters.
   * @default 'sess:'
   */
  prefix?: string
}

/**
 * Keeps sessions in Memcached, over memjs. Memcached is a cache: it may drop any session to make room, and drops all when
 * it restarts. It cannot count or list sessions: `count()` and `scan()` fail with `SESSION_UNSUPPORTED`.
 *
 * With several servers, each session lives on one of them, chosen by consistent hashing. A server that is down fails the
 * requests for its own sessions and no others.
 *
 * @typeParam Session what the application keeps in a session; `Fastify.Session` for what `request.session` holds
 */
// biome-ignore lint/suspicious/noExplicitAny: as in core's SessionStore
export class MemcachedStore<Session extends object = any> extends SessionStore<Session> {
  /** @throws TypeError that names the wrong option */
  constructor(options: MemcachedStoreOptions) {
    if (typeof options !== 'object' || options === null) {
      // Not shown: it may be a list of servers, with passwords.
      throw new TypeError(
        `options must be an object with a memjs client; got ${options === null ? 'null' : typeof options}`,
      )
    }
    const { client, prefix = 'sess:', ...rest } = options
    checkClient(client)
    if (typeof prefix !== 'string' || !/^[!-~]+$/.test(prefix) || prefix.length > MAX_PREFIX) {
      throw new TypeError(
        `prefix must be printable ASCII without spaces, 1 to ${MAX_PREFIX} characters; got ${inspect(prefix)}`,
      )
    }
    const servers = client.servers.map((server) => new Server(client, server as MemjsServer))
    const backend = new MemcachedBackend({
      servers,
      place: placeOf(client, servers),
      prefix,
      // Less than the store's own deadline, so that one dead server never looks to it like all of them.
      timeout: (rest.timeout ?? DEFAULT_TIMEOUT) / 2,
      now: rest.now ?? Date.now,
    })
    super(backend, rest)
  }
}

/** An application that chooses the server itself, by a `getServer` of its own, is taken at its word. */
function placeOf(client: MemjsClient, servers: readonly Server[]): (key: string) => number {
  const choose = ownGetServer(client)
  if (choose === undefined) return ringOf(servers.map(({ name }) => name))
  return (key) => {
    const place = Number(choose(key))
    if (servers[place] !== undefined) return place
    throw new TypeError(
      `client.getServer must answer the place of a server, 0 to ${servers.length - 1}; got ${inspect(place)}`,
    )
  }
}
