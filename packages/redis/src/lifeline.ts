import { setTimeout as sleep } from 'node:timers/promises'
import { isCluster, optionsOf, type RedisClient, type RedisConnection } from './client.ts'
import { refreshSlots } from './keyspace.ts'

/** How long a new connection may take to answer, in ms. */
const CONNECT_TIMEOUT = 1000
/** The pause after an attempt that failed, in ms. Sentinels that arrange a failover are asked less often. */
const ATTEMPT_PAUSE = { server: 10, set: 250 }
/** The pause between attempts while commands wait, in ms. */
const WAITING_PAUSE = 100
/** How long commands wait while the server is known to be down, in ms, and how long before their deadline they give up. */
const KNOWN_DOWN_PATIENCE = 100
/** How long one `ping` waits, in ms. The next one goes on waiting for the same answer. */
const PING_PATIENCE = 250
/** A connection that answers nothing for this long, while a new one is answered, is dead. In ms. */
const DEAD_AFTER = 1000

interface PendingPing {
  since: number
  answered: Promise<void>
}

/**
 * Finds out that the server is back sooner than the client does.
 *
 * A client that lost its connection waits longer and longer between its attempts to connect, up to 5 s in ioredis 6: that
 * long after the server's return requests would still fail. And a connection whose other end vanished without a word looks
 * alive for up to a quarter of an hour. So, only while sessions cannot be reached, a spare connection is tried. Once it is
 * answered, the client is told to connect at once. The client itself tries no more often than before, so its
 * `retryStrategy` and `maxRetriesPerRequest` count as its owner meant them to.
 */
export class Lifeline {
  readonly #client: RedisClient
  readonly #timeout: number
  readonly #pings = new WeakMap<RedisConnection, PendingPing>()
  readonly #spares = new Set<Spare>()
  #restoring: Promise<void> | undefined
  #reviving: Promise<void> | undefined
  #lastFailure = Number.NEGATIVE_INFINITY
  #closed = false

  /** @param timeout ms */
  constructor(client: RedisClient, timeout: number) {
    this.#client = client
    this.#timeout = timeout
  }

  /** Resolves when a server answers: in a Cluster, any of its masters. */
  async ping(): Promise<void> {
    await within(PING_PATIENCE, this.#ping())
  }

  /**
   * Resolves when the client is connected again; rejects with the reason when that takes too long. Commands wait here, not
   * in the client's queue: that would send them long after everybody stopped waiting for them.
   */
  restored(): Promise<void> {
    if (this.#restoring === undefined) {
      const knownDown = performance.now() - this.#lastFailure < this.#timeout
      if (knownDown) return within(KNOWN_DOWN_PATIENCE, this.#revive())
      this.#restoring = this.#restore().finally(() => {
        this.#restoring = undefined
      })
    }
    return this.#restoring
  }

  close(): void {
    this.#closed = true
    for (const spare of this.#spares) spare.disconnect()
  }

  async #restore(): Promise<void> {
    const end = performance.now() + this.#timeout - KNOWN_DOWN_PATIENCE
    while (this.#client.status === 'reconnecting') {
      try {
        await within(Math.max(0, end - performance.now()), this.#revive())
      } catch (error) {
        if (this.#closed || performance.now() + WAITING_PAUSE > end) throw error
        await sleep(WAITING_PAUSE, undefined, { ref: false })
      }
    }
  }

  async #ping(): Promise<void> {
    const client = this.#client
    if (client.status === 'reconnecting') await this.#revive()
    if (!isCluster(client)) return this.#answer(client)
    refreshSlots(client) // after a failover nobody may have told the client
    try {
      await Promise.any(client.nodes('master').map((master) => this.#answer(master)))
    } catch (error) {
      throw (error as AggregateError).errors[0] ?? new Error('the client knows no master of the Cluster')
    }
  }

  /** One PING at a time on each connection: on one that is stuck, they would only pile up. */
  #answer(connection: RedisConnection): Promise<void> {
    let ping = this.#pings.get(connection)
    if (ping === undefined) {
      const answered = pingOrClose(connection).finally(() => this.#pings.delete(connection))
      ping = { since: performance.now(), answered }
      this.#pings.set(connection, ping)
    }
    if (performance.now() - ping.since > DEAD_AFTER) this.#cutIfDead(connection, ping).catch(() => {})
    return ping.answered
  }

  async #cutIfDead(connection: RedisConnection, ping: PendingPing): Promise<void> {
    await this.#trySpare(connection)
    if (this.#pings.get(connection) !== ping) return
    this.#pings.delete(connection)
    // The client of a Cluster makes a new connection to the server when it next needs one.
    connection.disconnect(!isCluster(this.#client))
    // It would wait 2 s for the other end to agree.
    ;(connection as { stream?: { destroy?: () => void } }).stream?.destroy?.()
  }

  /** Connects the client if the server can be reached. */
  #revive(): Promise<void> {
    this.#reviving ??= this.#tryToRevive().finally(() => {
      this.#reviving = undefined
    })
    return this.#reviving
  }

  async #tryToRevive(): Promise<void> {
    const client = this.#client
    const isSet = isCluster(client) || optionsOf(client).sentinels
    const pause = this.#lastFailure + ATTEMPT_PAUSE[isSet ? 'set' : 'server'] - performance.now()
    if (pause > 0) await sleep(pause, undefined, { ref: false })
    try {
      await this.#trySpare(client)
      if (client.status === 'reconnecting') await within(CONNECT_TIMEOUT, client.connect())
    } catch (error) {
      this.#lastFailure = performance.now()
      throw error
    }
  }

  /** Resolves when a new connection with the client's own settings gets an answer. It is closed again. */
  async #trySpare(client: RedisClient | RedisConnection): Promise<void> {
    if (this.#closed) throw new Error('the store is closed')
    const spare = spareOf(client)
    this.#spares.add(spare)
    try {
      await within(CONNECT_TIMEOUT, spare.connect())
    } finally {
      this.#spares.delete(spare)
      spare.disconnect()
    }
  }
}

interface Spare {
  connect(): Promise<unknown>
  disconnect(): void
  on(event: 'error', listener: (error: Error) => void): unknown
}

/** A client of the same kind and settings that tries once. */
function spareOf(client: RedisClient | RedisConnection): Spare {
  const once = { lazyConnect: true, retryStrategy: null, sentinelRetryStrategy: null, reconnectOnError: null }
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

/** Rejects also when the connection is lost: the client would keep the command for the next one. */
async function pingOrClose(connection: RedisConnection): Promise<void> {
  let lost = () => {}
  const closed = new Promise<never>((_, reject) => {
    lost = () => reject(new Error('the connection was lost'))
  })
  connection.once('close', lost)
  try {
    await Promise.race([connection.ping(), closed])
  } finally {
    connection.off('close', lost)
  }
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms).unref()
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
