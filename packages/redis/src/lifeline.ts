import { setTimeout as sleep } from 'node:timers/promises'
import { type Internals, isCluster, optionsOf, type RedisClient, type RedisConnection } from './client.ts'
import { refreshSlots } from './keyspace.ts'
import { becomesReady, unlessClosed, unlessReady } from './readiness.ts'
import { CONNECT_TIMEOUT, type Spare, somethingListens, spareOf } from './spare.ts'
import { within } from './within.ts'

/** The pause after an attempt that failed, in ms: at first, and in a long outage. */
const ATTEMPT_PAUSE = { least: 10, most: 50 }
/** The same where several servers are asked each time, which may be busy arranging a failover. */
const ATTEMPT_PAUSE_OF_SETS = { least: 250, most: 250 }
/** The pause between attempts while commands wait, in ms. */
const WAITING_PAUSE = 100
/** How long commands wait while the server is known to be down, in ms, and how long before their deadline they give up. */
const KNOWN_DOWN_PATIENCE = 100
/** How long `ping` tries to connect a client that is not, in ms. */
const PING_PATIENCE = 250
/** A connection on which nothing comes for this long, while a new one is answered, is dead. In ms. */
const DEAD_AFTER = 1000
/** The pause between two looks at a connection that may be dead, in ms. */
const WATCH_PAUSE = 250

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
  readonly #patience: number
  readonly #hasQueue: boolean
  readonly #pause: typeof ATTEMPT_PAUSE
  readonly #pings = new WeakMap<RedisConnection, Promise<void>>()
  readonly #spares = new Set<Spare>()
  #restoring: Promise<void> | undefined
  #reaching: Promise<void> | undefined
  #connecting: Promise<void> | undefined
  /** When attempts began to fail, and when the last one did. */
  #firstFailure = 0
  #lastFailure = Number.NEGATIVE_INFINITY
  #closed = false

  /** @param timeout how long commands wait, in ms */
  constructor(client: RedisClient, timeout: number) {
    this.#client = client
    this.#timeout = timeout
    this.#patience = Math.min(KNOWN_DOWN_PATIENCE, timeout / 2)
    this.#hasQueue = optionsOf(client).enableOfflineQueue !== false
    this.#pause = isCluster(client) || optionsOf(client).sentinels ? ATTEMPT_PAUSE_OF_SETS : ATTEMPT_PAUSE
  }

  /** Resolves when a server answers: in a Cluster, any of its masters. */
  async ping(): Promise<void> {
    const client = this.#client
    const end = performance.now() + PING_PATIENCE
    while (client.status === 'reconnecting' || (isConnecting(client.status) && !this.#hasQueue)) {
      await this.#revive(CONNECT_TIMEOUT).catch((error) => {
        if (this.#isOver || performance.now() >= end) throw error
      })
    }
    if (!isCluster(client)) return this.#answer(client)
    refreshSlots(client) // after a failover nobody may have told the client
    try {
      await Promise.any(client.nodes('master').map((master) => this.#answer(master)))
    } catch (error) {
      throw (error as AggregateError).errors[0] ?? new Error('the client knows no master of the Cluster')
    }
  }

  /** Whether a command must wait for `restored` instead of being given to the client. */
  get isBroken(): boolean {
    const { status } = this.#client
    return status === 'reconnecting' || (isConnecting(status) && (this.#isKnownDown || !this.#hasQueue))
  }

  /**
   * Resolves when the client is connected again; rejects with the reason when that takes too long. Commands wait here, not
   * in the client's queue: that would send them long after everybody stopped waiting for them.
   */
  restored(): Promise<void> {
    if (this.#restoring === undefined && this.#isKnownDown) return this.#revive(this.#patience)
    this.#restoring ??= this.#restore().finally(() => {
      this.#restoring = undefined
    })
    return this.#restoring
  }

  close(): void {
    this.#closed = true
    for (const spare of this.#spares) spare.disconnect()
  }

  get #isKnownDown(): boolean {
    return performance.now() - this.#lastFailure < this.#timeout
  }

  /** Whether nobody is to be connected any more. */
  get #isOver(): boolean {
    return this.#closed || isClosedByOwner(this.#client)
  }

  async #restore(): Promise<void> {
    const end = performance.now() + this.#timeout - this.#patience
    let reason: unknown
    for (;;) {
      try {
        return await this.#revive(Math.max(0, end - performance.now()))
      } catch (error) {
        const over = this.#isOver || performance.now() + WAITING_PAUSE > end
        if (over) throw reason ?? error // the last attempt had less time than it needs
        reason = error
        await sleep(WAITING_PAUSE, undefined, { ref: false })
      }
    }
  }

  /** One PING at a time on each connection: on one that is stuck, they would only pile up. */
  #answer(connection: RedisConnection): Promise<void> {
    let answer = this.#pings.get(connection)
    if (answer === undefined) {
      answer = unlessClosed(connection, connection.ping()).finally(() => this.#pings.delete(connection))
      this.#pings.set(connection, answer)
      void this.#watch(connection, answer)
    }
    return answer
  }

  /** Cuts the connection if nothing comes on it, though a new one is answered. While something comes, it is only busy. */
  async #watch(connection: RedisConnection, answer: Promise<void>): Promise<void> {
    const isPending = () => this.#pings.get(connection) === answer && !this.#closed
    let { bytesRead } = streamOf(connection)
    let since = performance.now()
    for (;;) {
      await sleep(WATCH_PAUSE, undefined, { ref: false })
      if (!isPending()) return
      const isDoubtful = performance.now() - since > DEAD_AFTER
      const isNewAnswered = isDoubtful && (await this.#isSpareAnswered(connection))
      if (!isPending()) return
      if (streamOf(connection).bytesRead !== bytesRead) {
        bytesRead = streamOf(connection).bytesRead
        since = performance.now()
      } else if (isNewAnswered) break
    }
    // The client of a Cluster makes a new connection to the server when it next needs one.
    connection.disconnect(!isCluster(this.#client))
    // It would wait 2 s for the other end to agree.
    streamOf(connection).destroy?.()
  }

  /**
   * Connects the client if the server can be reached.
   * @param patience how long it may take to find that out, in ms
   */
  async #revive(patience: number): Promise<void> {
    if (this.#client.status === 'reconnecting' || this.#isKnownDown) {
      this.#reaching ??= this.#reach().finally(() => {
        this.#reaching = undefined
      })
      await within(patience, this.#reaching)
    }
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined
    })
    await this.#connecting
  }

  /** Resolves when the server answers on a new connection, or when the client has connected by itself. */
  async #reach(): Promise<void> {
    const { least, most } = this.#pause
    const pause = Math.min(least + (this.#lastFailure - this.#firstFailure) / 1000, most)
    const rest = this.#lastFailure + pause - performance.now()
    const attempt = async () => {
      if (rest > 0) await sleep(rest, undefined, { ref: false })
      await somethingListens(this.#client)
      await this.#trySpare(this.#client)
    }
    try {
      await unlessReady(this.#client, attempt())
      this.#lastFailure = Number.NEGATIVE_INFINITY
    } catch (error) {
      if (!this.#isKnownDown) this.#firstFailure = performance.now()
      this.#lastFailure = performance.now()
      throw error
    }
  }

  async #connect(): Promise<void> {
    this.#checkNotOver()
    const client = this.#client
    if (client.status === 'reconnecting') {
      stopWaiting(client as Internals)
      await client.connect()
    } else if (client.status === 'wait') await client.connect()
    else if (isConnecting(client.status)) await becomesReady(client)
  }

  #checkNotOver(): void {
    if (this.#closed) throw new Error('the store is closed')
    if (this.#isOver) throw new Error('Connection is closed.') // as ioredis says
  }

  #isSpareAnswered(connection: RedisConnection): Promise<boolean> {
    return this.#trySpare(connection).then(
      () => true,
      () => false,
    )
  }

  /** Resolves when a new connection with the client's own settings gets an answer. It is closed again. */
  async #trySpare(client: RedisClient | RedisConnection): Promise<void> {
    this.#checkNotOver()
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

function isConnecting(status: string): boolean {
  return status === 'wait' || status === 'connecting' || status === 'connect' || status === 'close'
}

/** A client that is closed while it waits to connect again keeps its status. */
function isClosedByOwner(client: RedisClient): boolean {
  return client.status === 'reconnecting' && (client as Internals).reconnectTimeout === null
}

/** A client that is told to connect leaves its timer running, which would open it again after its owner has closed it. */
function stopWaiting(client: Internals): void {
  clearTimeout(client.reconnectTimeout ?? undefined)
  client.reconnectTimeout = null
}

function streamOf(connection: RedisConnection): NonNullable<Internals['stream']> {
  return (connection as Internals).stream ?? {}
}
