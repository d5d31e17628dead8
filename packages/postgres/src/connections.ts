import { setTimeout as sleep } from 'node:timers/promises'
import { type Cancellable, cancelQuery } from './cancel.ts'
import { sqlState, withoutData } from './errors.ts'
import type { Statement } from './statements.ts'

/** What the store uses of a `Pool` of `pg`. */
export interface PostgresPool {
  connect(callback: (error: Error | undefined, client: PostgresClient | undefined) => void): void
  listenerCount?(event: 'error'): number
}

/** What the store uses of a client that such a pool lends. */
export interface PostgresClient extends Cancellable {
  query(query: PostgresQuery): Promise<PostgresResult>
  release(destroy?: boolean): void
  getTransactionStatus?(): string | null
  on(event: 'error', listener: () => void): unknown
  removeListener(event: 'error', listener: () => void): unknown
}

export interface PostgresQuery {
  text: string
  values?: unknown[]
  name?: string
  rowMode: 'array'
  types: { getTypeParser(): (value: unknown) => string }
}

export interface PostgresResult {
  rows: (string | null)[][]
  rowCount: number | null
}

/** How long after core's own deadline a statement is stopped, in ms: core is to see that the server did not answer. */
const GRACE = 20
/** How long it may take to tell the server, in ms; then the connection is just closed. */
const CANCEL_WITHIN = 500
/** How often a statement is sent again that met another transaction, where the database isolates them strictly. */
const MAX_COLLISIONS = 20

/** SQLSTATEs of a statement that lost against another one, and will do better a moment later. */
const COLLISIONS = ['40001', '40P01']
/** … of a connection without the prepared statement that was made on it: there is a pooler in between after all. */
const UNPREPARED = ['26000', '42P05']
/** … of a connection that is of no more use: about to end, led to a server that takes no writes, left in a transaction. */
const SPOILT = [...UNPREPARED, '57P01', '57P02', '57P03', '57P05', '25006', '25P02', '0A000']

/** Every column as text, whatever parsers the application has set for its own queries. */
const asText = { getTypeParser: () => String }

/**
 * Runs statements on the application's pool. Each ends by a deadline of its own, and every connection goes back to the
 * pool: healthy, or closed.
 */
export class Connections {
  readonly #pool: PostgresPool
  /** How long a statement may take, in ms. */
  readonly timeout: number
  /** Whether statements may be prepared; undefined: on connections that lead straight to the server. */
  #prepare: boolean | undefined
  readonly #straight = new WeakMap<PostgresClient, boolean>()
  #used = false

  constructor(pool: PostgresPool, timeout: number, prepare: boolean | undefined) {
    this.#pool = pool
    this.timeout = timeout
    this.#prepare = prepare
  }

  /** Runs one statement; a second time where that may help, so it must be one that can be repeated. */
  async run(statement: Statement, values: unknown[] = [], timeout = this.timeout): Promise<PostgresResult> {
    const deadline = performance.now() + timeout + GRACE
    for (let attempt = 1; ; attempt += 1) {
      let lent = false
      try {
        return await this.#lend(deadline, statement.cancel ?? true, (client) => {
          lent = true
          const prepare = this.#prepare ?? this.#straight.get(client)
          const send = (prepare: boolean) =>
            client.query(queryOf(statement.text, values, prepare ? statement.name : undefined))
          return prepare === undefined ? this.#isStraight(client).then(send) : send(prepare)
        })
      } catch (error) {
        const state = sqlState(error) ?? ''
        if (UNPREPARED.includes(state)) this.#prepare = false
        const collided = COLLISIONS.includes(state)
        const again = collided ? attempt < MAX_COLLISIONS : lent && attempt === 1 && isSpoilt(error)
        if (!again || performance.now() >= deadline) throw withoutData(error)
        if (collided) await sleep(Math.random() * Math.min(2 ** attempt, 64))
      }
    }
  }

  /** Runs statements as one transaction. */
  async transaction(work: (run: Run) => Promise<void>, timeout: number): Promise<void> {
    const deadline = performance.now() + timeout
    try {
      await this.#lend(deadline, true, async (client) => {
        const run: Run = (text, values) => client.query(queryOf(text, values))
        await run('begin isolation level read committed') // stricter ones would not see what was done while we waited
        try {
          await work(run)
          await run('commit')
        } catch (error) {
          await run('rollback').catch(() => {}) // a lost connection takes its transaction along
          throw error
        }
      })
    } catch (error) {
      throw withoutData(error)
    }
  }

  /** Lends a connection. When time is up, what it does is stopped on the server, and it is closed. */
  async #lend<T>(deadline: number, cancel: boolean, work: (client: PostgresClient) => Promise<T>): Promise<T> {
    const { client, giveBack } = await this.#checkOut(deadline)
    try {
      const value = await byDeadline(deadline, work(client))
      giveBack()
      return value
    } catch (error) {
      if (error instanceof TimedOut && cancel) {
        // Else a query that waits for a lock would hold its place on the server long after we left. Not given back
        // before that is done: the request may be slow, and must not hit the next query on this connection.
        void cancelQuery(client, CANCEL_WITHIN).then(() => giveBack('spoilt'))
      } else {
        giveBack(error instanceof TimedOut || isSpoilt(error) ? 'spoilt' : undefined)
      }
      throw error
    }
  }

  #checkOut(deadline: number): Promise<Loan> {
    if (!this.#used) this.#beforeFirstUse()
    return new Promise((resolve, reject) => {
      let late = false
      const stop = atDeadline(deadline, (error) => {
        late = true
        reject(error)
      })
      const ask = () =>
        this.#pool.connect((error, client) => {
          if (!client) {
            stop()
            return reject(error)
          }
          // Unheard, a lost connection would end the process; the query under way is told as well. In this callback, and
          // not a promise later: the server's goodbye may be in the packet that is being read.
          client.on('error', ignore)
          const giveBack = (spoilt?: 'spoilt') => {
            client.release(spoilt !== undefined)
            client.removeListener('error', ignore)
          }
          // Not at once: within that call the pool would lend it to the next who is late, and so on, ever deeper.
          if (late) return queueMicrotask(giveBack)
          if (isInTransaction(client)) {
            giveBack('spoilt') // by its last user's neglect: what we wrote would never be committed
            return ask()
          }
          stop()
          resolve({ client, giveBack })
        })
      ask()
    })
  }

  #beforeFirstUse(): void {
    this.#used = true
    if (this.#pool.listenerCount?.('error') !== 0) return
    process.emitWarning(
      "the pool of the PostgresStore has no 'error' listener: when the server ends an idle connection, this process ends " +
        "too. Add pool.on('error', (error) => …) where the pool is made.",
      { code: 'SESSION_STORE_POOL_ERROR_LISTENER' },
    )
  }

  /**
   * Whether the server at the other end is Postgres itself: then the connection's number is its process. A pooler like
   * PgBouncer makes up a number, and may hand each transaction to another connection, where a statement that was prepared on
   * the last one is not known.
   */
  async #isStraight(client: PostgresClient): Promise<boolean> {
    const { rows } = await client.query(queryOf('select pg_backend_pid()'))
    const straight = rows[0]?.[0] === String(client.processID)
    this.#straight.set(client, straight)
    return straight
  }
}

/** A connection that is ours until it is given back, `'spoilt'` to have it closed. */
interface Loan {
  client: PostgresClient
  giveBack(spoilt?: 'spoilt'): void
}

export type Run = (text: string, values?: unknown[]) => Promise<PostgresResult>

class TimedOut extends Error {}

function ignore(): void {}

function byDeadline<T>(deadline: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = atDeadline(deadline, reject)
    promise.then(
      (value) => {
        stop()
        resolve(value)
      },
      (error) => {
        stop()
        reject(error)
      },
    )
  })
}

/** Answers how to stop waiting for it. */
function atDeadline(deadline: number, expired: (error: TimedOut) => void): () => void {
  const expire = () => expired(new TimedOut('no answer in time'))
  // After a stall of the event loop the timer comes first, though the answer may be in the socket: let it in.
  const timer = setTimeout(() => setImmediate(expire), Math.max(deadline - performance.now(), 0))
  return () => clearTimeout(timer)
}

function isInTransaction(client: PostgresClient): boolean {
  const status = client.getTransactionStatus?.()
  return status !== undefined && status !== null && status !== 'I'
}

/** Whether the connection is of no more use. An error that is not the server's is one of the connection. */
function isSpoilt(error: unknown): boolean {
  const state = sqlState(error)
  if (state === undefined) return !(error instanceof TimedOut)
  return state.startsWith('08') || SPOILT.includes(state)
}

function queryOf(text: string, values: unknown[] = [], name?: string): PostgresQuery {
  return { text, values, ...(name !== undefined && { name }), rowMode: 'array', types: asText }
}
