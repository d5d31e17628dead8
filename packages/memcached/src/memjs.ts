import type { MemjsResponse } from './protocol.ts'

/** As much of memjs' `Client` as the store uses. What `Client.create()` answers fits. */
export interface MemjsClient {
  readonly servers: ReadonlyArray<{ readonly host: string; readonly port: number }>
  readonly options: { readonly failover?: boolean | undefined }
  perform(
    key: string,
    request: Buffer,
    seq: number,
    // biome-ignore lint/suspicious/noExplicitAny: as memjs declares it
    callback?: (error: Error | null, ...rest: any[]) => void,
    retries?: number,
  ): void
}

/** As much of memjs' `Server` as `Connection` uses; memjs keeps one for each server, and all of it within reach. */
export interface MemjsServer {
  readonly host: string
  readonly port: number
  connected: boolean
  responseBuffer: Buffer
  readonly responseCallbacks: Record<number, unknown>
  _socket?: import('node:net').Socket | undefined
  onResponse(seq: number, callback: ((response: MemjsResponse) => void) & { quiet?: boolean }): void
  sock(sasl: boolean, go: (socket: unknown) => void): void
  error(error: unknown): void
  removeAllListeners(event: string): unknown
}

/** @throws TypeError when it is not a memjs client, or one that would lose sessions */
export function checkClient(client: MemjsClient): void {
  const servers: unknown = client?.servers
  if (typeof client?.perform !== 'function' || !Array.isArray(servers) || servers.length === 0) {
    throw new TypeError("client must be a memjs client: import { Client } from 'memjs'; Client.create('host:11211')")
  }
  for (const server of servers as MemjsServer[]) {
    if (typeof server?.sock !== 'function' || typeof server.error !== 'function') {
      throw new TypeError('client must be one of memjs 1.3.2 or a later 1.x: its servers look different')
    }
    // What memjs makes of a URL. Each request would fail.
    if (typeof server.port === 'number' && !(server.port > 0 && server.port < 65536)) {
      throw new TypeError("client has a server without a valid port: Client.create('host1:11211,host2:11211')")
    }
  }
  if (client.options?.failover) {
    throw new TypeError(
      'client must be created without failover: it would serve sessions from another server, and stale ones afterwards',
    )
  }
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
