import { connect } from 'node:net'
import { isCluster, optionsOf, type RedisClient, type RedisConnection } from './client.ts'
import { within } from './within.ts'

/** How long a new connection may take to answer, in ms. */
export const CONNECT_TIMEOUT = 1000

/** A cheap look before a client is made for nothing. Where it cannot be told, it resolves. */
export function somethingListens(client: RedisClient): Promise<void> {
  const { host, port, path, sentinels, Connector } = optionsOf(client)
  if (isCluster(client) || sentinels || Connector || !(path || port)) return Promise.resolve()
  const socket = path ? connect({ path }) : connect({ host: host ?? 'localhost', port: port as number })
  const looked = new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  return within(CONNECT_TIMEOUT, looked).finally(() => socket.destroy())
}

export interface Spare {
  connect(): Promise<unknown>
  disconnect(): void
  on(event: 'error', listener: (error: Error) => void): unknown
}

/** A client of the same kind and settings that tries once. */
export function spareOf(client: RedisClient | RedisConnection): Spare {
  const once = {
    ...{ lazyConnect: true, retryStrategy: null, sentinelRetryStrategy: null, reconnectOnError: null },
    maxLoadingRetryTime: 50, // of a server that is loading its data
  }
  const spare = isCluster(client as RedisClient)
    ? (client as unknown as Duplicable<[never[], object]>).duplicate([], {
        lazyConnect: true,
        clusterRetryStrategy: null,
      })
    : (client as unknown as Duplicable<[object]>).duplicate({ ...once, connectTimeout: CONNECT_TIMEOUT })
  let reason: Error | undefined
  spare.on('error', (error) => {
    reason = error // connect() itself only says that the connection is closed
  })
  return {
    connect: () =>
      spare.connect().catch((error: Error) => {
        throw reason ?? error
      }),
    disconnect: () => spare.disconnect(),
    on: (event, listener) => spare.on(event, listener),
  }
}

interface Duplicable<Args extends unknown[]> {
  duplicate(...args: Args): Spare
}
