import { connect, type Socket } from 'node:net'
import { type Command, Opcode } from './protocol.ts'

/**
 * As much of a memjs `Client` as the store reads: which servers there are, how to log in, and how keys are distributed.
 * Nothing is sent over it. What `Client.create()` answers fits.
 */
export interface MemjsClient {
  readonly servers: readonly MemjsServer[]
  readonly options?: { readonly failover?: boolean | undefined } | undefined
  getServer(key: string): unknown
}

export interface MemjsServer {
  readonly host: string
  /** Or the path of a Unix domain socket, as memjs takes it too. */
  readonly port: number | string
  readonly username?: string | undefined
  readonly password?: string | undefined
  readonly options?: { readonly keepAliveDelay?: number | undefined } | undefined
}

/** When TCP begins to ask whether an idle connection is still there, unless memjs was told another time. In s. */
const KEEP_ALIVE_DELAY = 30

export function isClient(value: unknown): value is MemjsClient {
  const { servers, getServer } = (value ?? {}) as Partial<MemjsClient>
  const isServer = (server: MemjsServer | null) =>
    typeof server?.host === 'string' && ['number', 'string'].includes(typeof server.port)
  return typeof getServer === 'function' && Array.isArray(servers) && servers.length > 0 && servers.every(isServer)
}

/** @throws TypeError when the client was made in a way that would fail each request, or mix up sessions */
export function checkClient(client: MemjsClient): void {
  // What memjs makes of a URL.
  const isWrong = (server: MemjsServer) =>
    pathOf(server) === undefined && !(Number(server.port) > 0 && Number(server.port) < 65536)
  if (client.servers.some(isWrong)) {
    throw new TypeError("client has a server without a valid port: Client.create('host1:11211,host2:11211')")
  }
  if (client.options?.failover) {
    throw new TypeError(
      'client must be created without failover: it would serve sessions from another server, and stale ones afterwards',
    )
  }
}

/** How applications know the server, such as `'10.0.0.7:11211'`. */
export function nameOf({ host, port }: MemjsServer): string {
  return `${host}:${port}`
}

/** A new connection. It does not keep the process alive: core's deadline does, while an answer is waited for. */
export function openSocket(server: MemjsServer): Socket {
  const path = pathOf(server)
  const keepAliveInitialDelay = (server.options?.keepAliveDelay ?? KEEP_ALIVE_DELAY) * 1000
  const socket =
    path === undefined
      ? connect({ host: server.host, port: Number(server.port), noDelay: true, keepAlive: true, keepAliveInitialDelay })
      : connect({ path })
  return socket.unref()
}

/** SASL PLAIN (RFC 4616), with the credentials that the client has now; undefined when it has none. */
export function logInCommand({ username, password }: MemjsServer): Command | undefined {
  if (!username || !password) return undefined
  return { opcode: Opcode.logIn, key: 'PLAIN', value: `\0${username}\0${password}` }
}

/** The application's own way to choose a server, on the client or in a class of its own; undefined when it is memjs' way. */
export function ownGetServer(client: MemjsClient): ((key: string) => unknown) | undefined {
  let last: object = client // the last that has one is memjs' own class
  for (let each: object | null = client; each !== null; each = Object.getPrototypeOf(each)) {
    if (Object.hasOwn(each, 'getServer')) last = each
  }
  const [chosen, usual] = [client, last].map((each) => (each as { getServer?: unknown }).getServer)
  return typeof chosen === 'function' && chosen !== usual ? (key) => chosen.call(client, key) : undefined
}

function pathOf({ port }: MemjsServer): string | undefined {
  return typeof port === 'string' && Number.isNaN(Number(port)) ? port : undefined
}
