import { createHash } from 'node:crypto'
import { type Batch, type KeyedRecord, type StoredRecord, TryAgain } from '@session-stores/core'
import { type Connection, unprinted } from './driver.ts'
import { RecentlyListed } from './recently-listed.ts'
import { LIST, REMOVE, REMOVE_OF_USER, run, UNLIST, UNLIST_OLD, UNLIST_SOON } from './scripts.ts'

/** How many entries of an index one batch looks at; each of their records is read. */
const ENTRIES_A_BATCH = 250

/**
 * Whose sessions are where: for each user an index, a sorted set of the keys of that user's sessions (see scripts.ts). A session
 * that is there is always listed; an entry may be of a session that is gone, or somebody else's by now.
 *
 * On one server, index and session change in one script. In a Cluster they are on different servers, and the index is
 * changed first.
 */
export class Users {
  readonly #connection: Connection
  readonly #prefix: string
  readonly #recentlyListed = new RecentlyListed()
  readonly #readMany: (keys: string[]) => Promise<Array<StoredRecord | 'unreadable' | undefined | Error>>

  /** @param prefix what comes before the session's key */
  constructor(
    connection: Connection,
    prefix: string,
    readMany: (keys: string[]) => Promise<Array<StoredRecord | 'unreadable' | undefined | Error>>,
  ) {
    this.#connection = connection
    this.#prefix = prefix
    this.#readMany = readMany
  }

  /** The keys for a script that writes this session: its own, and on one server the index of its user. */
  keysFor(key: string, userId: string | undefined): string[] {
    const name = this.#prefix + key
    if (userId === undefined || this.#connection.isCluster) return [name]
    return [name, this.#indexOf(JSON.stringify(userId))]
  }

  /**
   * In a Cluster, to be done before the session is written. Its failure says nothing of the server that has the session.
   * @param ttl the session's time to live, in ms
   * @returns whether it was listed already
   */
  async list(key: string, userId: string | undefined, ttl: number): Promise<boolean> {
    if (userId === undefined || !this.#connection.isCluster) return false
    const user = JSON.stringify(userId)
    try {
      const answer = await this.#connection.send((redis) => run(redis, LIST, [this.#indexOf(user)], key, `${ttl}`))
      this.#recentlyListed.add(key + user, ttl)
      return answer === 1
    } catch (error) {
      throw error instanceof TryAgain ? new TryAgain(error.cause, { alone: true }) : error
    }
  }

  /** The same before a session is changed that must be there: not if this process has just listed it. */
  async listAgain(key: string, userId: string | undefined, ttl: number): Promise<void> {
    if (userId === undefined || !this.#connection.isCluster) return
    if (!this.#recentlyListed.has(key + JSON.stringify(userId), ttl)) await this.list(key, userId, ttl)
  }

  async find(userId: string, from = '0'): Promise<Batch & { records: KeyedRecord[] }> {
    const index = this.#indexOf(JSON.stringify(userId))
    const [cursor, flat] = await this.#connection.send((redis) => redis.zscan(index, from, 'COUNT', ENTRIES_A_BATCH))
    const keys = flat.filter((_, n) => n % 2 === 0)
    const records: KeyedRecord[] = []
    const strays: string[] = []
    const found = await this.#readMany(keys)
    for (const [n, key] of keys.entries()) {
      const stored = found[n]
      if (stored instanceof Error) throw stored
      if (stored === 'unreadable') continue
      if (stored?.record.userId === userId) records.push({ key, record: stored.record })
      else strays.push(key)
    }
    if (strays.length > 0) this.#tidy((redis) => run(redis, UNLIST_OLD, [index], ...strays))
    return { records, next: cursor === '0' ? undefined : cursor }
  }

  /** Deletes a session with its entry. */
  async remove(key: string): Promise<boolean> {
    const name = this.#prefix + key
    const [removed, user] = await this.#connection.send((redis) => run<[number, string?]>(redis, REMOVE, [name]))
    if (user !== undefined && user !== null) {
      const index = this.#indexOf(user)
      if (this.#connection.isCluster) this.#tidy((redis) => run(redis, UNLIST_SOON, [index], key))
      else this.#tidy((redis) => run(redis, UNLIST, [index, name]))
    }
    return removed === 1
  }

  async removeOfUser(userId: string, keys: string[]): Promise<number> {
    const user = JSON.stringify(userId)
    const index = this.#indexOf(user)
    const names = keys.map((key) => this.#prefix + key)
    if (!this.#connection.isCluster) {
      const all = [...names, index]
      return this.#connection.send((redis) => run(redis, REMOVE_OF_USER, all, unprinted(user), `${names.length}`))
    }
    const removed = await this.#connection.send((redis) =>
      Promise.all(names.map((name) => run<number>(redis, REMOVE_OF_USER, [name], unprinted(user), '1'))),
    )
    const gone = keys.filter((_, n) => removed[n] === 1)
    if (gone.length > 0) this.#tidy((redis) => run(redis, UNLIST_SOON, [index], ...gone))
    return removed.reduce((sum, each) => sum + each, 0)
  }

  /** Nobody waits for it, and an entry that stays behind does no harm. */
  #tidy(commands: Parameters<Connection['send']>[0]): void {
    try {
      this.#connection.send(commands).catch(() => {})
    } catch {
      // The connection was lost since.
    }
  }

  /**
   * No session's key ends like this, so no store under another prefix takes it for one of its own.
   * @param user the user's id as JSON, as it stands in a record: its text has no two forms
   */
  #indexOf(user: string): string {
    return `${this.#prefix}user:${createHash('sha256').update(user).digest('base64url')}:sessions`
  }
}
