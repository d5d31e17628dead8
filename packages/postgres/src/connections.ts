import { type Call, TryAgain } from '@session-stores/core'
import { cancelQuery } from './cancel.ts'
import { hold, isInTransaction, type PostgresClient, type PostgresPool, release } from './driver.ts'
import { isUnprepared, SessionDriverUnsupported, type Trouble, troubleOf, withoutData } from './errors.ts'
import { Semaphore } from './semaphore.ts'

type Work<T> = (connection: Connection) => Promise<T>

/** What of a call its statements go by. */
export type StatementCall = Pick<Call, 'isOver' | 'watch' | 'unwatch' | 'attempt' | 'note'>

/** A connection that the pool lent before, or lends now. */
export interface Connection {
  readonly client: PostgresClient
  /** When it was made; 0 if that was before the store was. These moments are counts of events, see `Connections`. */
  readonly madeAt: number
  /** When it last answered. */
  aliveAt: number
  /** Whether it leads to Postgres itself and not to a pooler; undefined until somebody has asked. */
  isDirect: boolean | undefined
}

/** How much of the pool is kept free of statements that may wait for a lock, so that reads go on meanwhile. */
const SHARE_OF_READS = 1 / 4

const NO_CONNECTION = new Error('the pool had no connection to lend, and could make none, in time')
/** Reaches nobody: who asked has stopped waiting. */
const GIVEN_UP = new Error('the call was given up')
const NO_ANSWER = new Error('the server did not answer the statement in time')

const pools = new WeakMap<PostgresPool, Connections>()

/**
 * The application's pool, with what is known of its connections: which of them may be dead. Stores on one pool share it.
 *
 * What happened first is told by counting events: no clock is needed, and none that is set or faked gets in the way.
 */
export class Connections {
  readonly #pool: PostgresPool
  readonly #known = new WeakMap<PostgresClient, Connection>()
  /** Lets statements in that may wait for a lock. */
  readonly #writers: Semaphore
  /** Whether a prepared statement was missing: there is a pooler in between, whatever it looked like. */
  losesStatements = false
  #isUsed = false
  #events = 0
  /** Connections without a sign of life since then are not trusted. */
  #doubtedSince = -1
  /** When the server refused to write, if it has not written since: connections made before then lead to the wrong one. */
  #readOnlySince: number | undefined

  static of(pool: PostgresPool): Connections {
    const connections = pools.get(pool) ?? new Connections(pool)
    pools.set(pool, connections)
    return connections
  }

  private constructor(pool: PostgresPool) {
    this.#pool = pool
    const size = pool.options?.max ?? 10 // pg's default
    this.#writers = new Semaphore(Math.max(1, size - Math.ceil(size * SHARE_OF_READS)))
    pool.on('connect', (client) => this.#add(client, this.#next()))
  }

  /**
   * Does work on a connection, which then goes back to the pool, or is closed if it is of no more use. When the call has
   * ended meanwhile, the server is told to stop.
   * @param reads whether the work can neither write nor wait for the lock of a row
   * @throws TryAgain when another connection may do better, or a moment later
   */
  use<T>(call: StatementCall, reads: boolean, work: Work<T>): Promise<T> {
    if (!this.#isUsed) this.#onFirstUse()
    call.note(NO_CONNECTION)
    return reads ? this.#lend(call, reads, work) : this.#inTurn(() => this.#lend(call, reads, work))
  }

  async #inTurn<T>(task: () => Promise<T>): Promise<T> {
    await this.#writers.enter()
    try {
      return await task()
    } finally {
      this.#writers.leave()
    }
  }

  async #lend<T>(call: StatementCall, reads: boolean, work: Work<T>): Promise<T> {
    const begun = this.#next()
    const connection = await this.#checkOut(call, begun)
    call.note(NO_ANSWER)
    const sentAt = this.#next()
    const onAbort = () => {
      this.#doubt(sentAt)
      // Else a query that waits for a lock would go on waiting on the server. Not released before that is done: through a
      // pooler the request finds its query only while the connection is there.
      void cancelQuery(connection.client).then(() => release(connection.client, true))
    }
    call.watch(onAbort)
    try {
      const value = await work(connection)
      if (call.isOver) return value
      connection.aliveAt = this.#next()
      if (!reads) this.#readOnlySince = undefined
      release(connection.client)
      return value
    } catch (error) {
      if (call.isOver) throw error
      const trouble = troubleOf(error)
      release(connection.client, trouble === 'lost' || trouble === 'read-only')
      if (trouble === 'lost') this.#doubt(sentAt)
      if (isUnprepared(error)) this.losesStatements = true
      throw this.#isWorthAnother(trouble, connection, call.attempt, begun)
        ? new TryAgain(withoutData(error), { alone: trouble === 'collision' })
        : withoutData(error)
    } finally {
      call.unwatch(onAbort)
    }
  }

  #checkOut(call: StatementCall, begun: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const ask = () => {
        if (call.isOver) return reject(GIVEN_UP)
        this.#pool.connect((error, client) => {
          if (client === undefined) {
            return reject(call.attempt === 1 ? new TryAgain(withoutData(error)) : withoutData(error))
          }
          hold(client)
          const connection = this.#known.get(client) ?? this.#add(client, 0)
          if (client.native) {
            release(client)
            return reject(new SessionDriverUnsupported())
          }
          if (call.isOver) {
            reject(GIVEN_UP)
            // A microtask later: released within this callback, it would go to the next caller that has given up, recursively.
            return queueMicrotask(() => release(client))
          }
          if (this.#isTrusted(connection, begun)) return resolve(connection)
          release(connection.client, true)
          ask()
        })
      }
      ask()
    })
  }

  #isWorthAnother(trouble: Trouble | undefined, connection: Connection, attempt: number, begun: number): boolean {
    // One that was made after the call had failed fails as well: then it is not the connection.
    if (trouble === 'lost') return attempt === 1 || connection.madeAt < begun
    return trouble === 'collision' || (trouble === 'read-only' && this.#isNews(connection))
  }

  #isTrusted({ client, madeAt, aliveAt }: Connection, begun: number): boolean {
    // Left in a transaction by its last user: what we wrote there would never be committed.
    if (isInTransaction(client)) return false
    if (madeAt > begun) return true
    return Math.max(madeAt, aliveAt) > this.#doubtedSince && madeAt >= (this.#readOnlySince ?? 0)
  }

  /** A statement sent at that moment got no answer. What has been idle since then may be as dead, for all that is known. */
  #doubt(sentAt: number): void {
    this.#doubtedSince = Math.max(this.#doubtedSince, sentAt)
  }

  /** Whether a refusal to write may be this connection's own: after a failover, older ones lead to the wrong server. */
  #isNews({ madeAt }: Connection): boolean {
    if (this.#readOnlySince !== undefined && madeAt > this.#readOnlySince) return false
    this.#readOnlySince ??= this.#next()
    return true
  }

  #add(client: PostgresClient, madeAt: number): Connection {
    const connection = { client, madeAt, aliveAt: 0, isDirect: undefined }
    this.#known.set(client, connection)
    return connection
  }

  #next(): number {
    this.#events += 1
    return this.#events
  }

  #onFirstUse(): void {
    this.#isUsed = true
    if (this.#pool.listenerCount('error') > 0) return
    process.emitWarning(
      "the pool of the PostgresStore has no 'error' listener: when the server ends an idle connection, this process ends " +
        "too. Add pool.on('error', (error) => …) where the pool is made.",
      { code: 'SESSION_STORE_POOL_ERROR_LISTENER' },
    )
  }
}
