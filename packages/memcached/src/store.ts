import { SessionStore, type StoreOptions } from '@session-stores/core'
import { MemcachedBackend } from './backend.ts'
import { checkClient, type MemjsClient, ownGetServer } from './driver.ts'
import { Namespace } from './namespace.ts'
import { ringOf } from './ring.ts'
import { Server } from './server.ts'

/** The longest prefix that leaves room for the rest of a key of 250 bytes, and then some. */
const MAX_PREFIX = 128

export interface MemcachedStoreOptions extends StoreOptions {
  /**
   * A memjs client, from `Client.create()`, with one server or several. The store opens a connection of its own to each
   * server that it uses, with the client's credentials. It sends nothing over the client and never closes it.
   */
  client: MemjsClient

  /**
   * What the keys of this store begin with, so that several stores and other data can share the servers. Printable ASCII
   * without spaces, 1 to 128 characters.
   * @default 'sess:'
   */
  prefix?: string | undefined
}

/**
 * Keeps sessions in Memcached. Memcached is a cache: it may drop any session to make room, and drops all when it
 * restarts. It cannot count or list sessions: `count()` and `scan()` fail with `SESSION_UNSUPPORTED`.
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
      throw new TypeError(`options must be an object with a memjs client; got ${kindOf(options)}`)
    }
    const { client, prefix = 'sess:', ...rest } = options
    checkClient(client)
    if (typeof prefix !== 'string' || !/^[!-~]+$/.test(prefix) || prefix.length > MAX_PREFIX) {
      throw new TypeError(
        `prefix must be printable ASCII without spaces, 1 to ${MAX_PREFIX} characters; got ${kindOf(prefix)}`,
      )
    }
    const servers = client.servers.map((server) => new Server(server))
    // An application that chooses the server itself, by a `getServer` of its own, is taken at its word.
    const choose = ownGetServer(client)
    const indexOf = choose ? (key: string) => Number(choose(key)) : ringOf(servers.map(({ name }) => name))
    const namespaces = servers.map((server) => new Namespace(server, prefix))
    super(new MemcachedBackend(namespaces, indexOf), rest)
  }
}

/** Only the kind of a wrong value is shown: it may hold a password. */
function kindOf(value: unknown): string {
  if (value === null || value === undefined) return `${value}`
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
