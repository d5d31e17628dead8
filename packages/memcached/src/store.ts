import {
  checkOptions,
  type OptionRules,
  SessionStore,
  type StoreOptions,
  storeRules,
  wrongOption,
} from '@session-stores/core'
import { MemcachedBackend } from './backend.ts'
import { checkClient, isClient, type MemjsClient, ownGetServer } from './driver.ts'
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
    checkOptions(options, rules, elsewhere)
    const { client, prefix = 'sess:', ...rest } = options
    if (client === undefined) throw wrongOption('client', CLIENT, client)
    checkClient(client)
    const servers = client.servers.map((server) => new Server(server))
    // An application that chooses the server itself, by a `getServer` of its own, is taken at its word.
    const choose = ownGetServer(client)
    const indexOf = choose ? (key: string) => Number(choose(key)) : ringOf(servers.map(({ name }) => name))
    const namespaces = servers.map((server) => new Namespace(server, prefix))
    super(new MemcachedBackend(namespaces, indexOf), rest)
  }
}

const CLIENT = "a client of memjs, from Client.create('host:11211')"
const CLIENT_SETTING = 'client, from Client.create(servers, options)'

const rules: OptionRules = {
  client: { wants: CLIENT, isRight: isClient },
  prefix: {
    wants: `printable ASCII without spaces, 1 to ${MAX_PREFIX} characters`,
    isRight: (value) => typeof value === 'string' && /^[!-~]+$/.test(value) && value.length <= MAX_PREFIX,
  },
  ...storeRules,
}

/** What other stores call these options. */
const elsewhere = {
  servers: CLIENT_SETTING,
  hosts: CLIENT_SETTING,
  username: CLIENT_SETTING,
  password: CLIENT_SETTING,
  retries: CLIENT_SETTING,
  retry_delay: CLIENT_SETTING,
  expires: 'ttl, in ms',
  failover: 'never done: a session lives on one server',
  logger: 'the diagnostics channels',
  debug: 'the diagnostics channels',
  keyPrefix: 'prefix',
}
