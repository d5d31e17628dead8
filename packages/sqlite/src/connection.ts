import { type Finding, TryAgain } from '@session-stores/core'
import { checkDatabase } from './check.ts'
import { type Driver, fileOf, isBusy, pragma, type Statement, transaction } from './driver.ts'
import type { DatabaseFiles } from './files.ts'

/** The two parts of a database that fail independently: while one process holds the write lock, all others still read. */
export type Part = 'reads' | 'writes'

/**
 * The connection that the store works on. It answers at once, and never waits for other processes: `TryAgain` says that
 * one was in the way.
 */
export class Connection {
  readonly #driver: Driver
  readonly #isOwn: boolean
  readonly #files: DatabaseFiles | undefined
  readonly #wasBusy: Record<Part, boolean> = { reads: false, writes: false }

  /**
   * @param driver with the schema in place
   * @param isOwn whether the store has opened it, and so closes it
   * @param files those of the database; undefined for one in memory
   */
  constructor(driver: Driver, isOwn: boolean, files: DatabaseFiles | undefined) {
    this.#driver = driver
    this.#isOwn = isOwn
    this.#files = files
  }

  /** Whether a transaction is open: within `transaction`, whether it still is. */
  get inTransaction(): boolean {
    return this.#driver.inTransaction
  }

  prepare(sql: string): Statement {
    return this.#driver.prepare(sql)
  }

  read<T>(work: () => T): T {
    return this.#run('reads', work)
  }

  /** For statements each of which may take effect without the others. */
  write<T>(work: () => T): T {
    // A statement that meets a lock is left half done by libsql, which from then on loses what others commit. So a given
    // connection takes the lock beforehand. That costs a tenth of a change.
    return this.#isOwn ? this.#run('writes', work) : this.transaction(work)
  }

  /** For statements that take effect together: as one transaction. */
  transaction<T>(work: () => T): T {
    return this.#run('writes', () => transaction(this.#driver, work))
  }

  check(): Finding[] {
    return this.read(() => checkDatabase(fileOf(this.#driver), `${pragma(this.#driver, 'journal_mode')}`))
  }

  close(): void {
    if (this.#isOwn) this.#driver.close()
  }

  /**
   * @throws TryAgain while another connection, or a transaction of the application's, is in the way
   * @throws Error when a file in use is no longer in its place
   */
  #run<T>(part: Part, work: () => T): T {
    this.#files?.check()
    // What the application rolls back must not take a saved session with it, and what it reads must not be old.
    if (!this.#isOwn && this.#driver.inTransaction) throw new TryAgain(new TransactionOpen())
    try {
      const result = this.#wasBusy[part] ? this.#withoutWaiting(work) : work()
      this.#wasBusy[part] = false
      return result
    } catch (error) {
      if (!isBusy(error)) throw error
      this.#wasBusy[part] = true
      throw new TryAgain(error)
    }
  }

  /** A given database may wait inside SQLite, with the event loop stopped: once for a lock, and not at each attempt. */
  #withoutWaiting<T>(work: () => T): T {
    if (this.#isOwn) return work()
    const usual = pragma(this.#driver, 'busy_timeout')
    this.#driver.exec('PRAGMA busy_timeout = 0')
    try {
      return work()
    } finally {
      this.#driver.exec(`PRAGMA busy_timeout = ${usual}`)
    }
  }
}

/** The application has left a transaction open on the connection that it gave to the store. */
class TransactionOpen extends Error {
  constructor() {
    super('the database given to the session store is inside a transaction of the application')
  }
}
