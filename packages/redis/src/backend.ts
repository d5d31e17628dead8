import {
  type Backend,
  type Batch,
  type Call,
  type Change,
  type ChangeAnswer,
  type Cutoff,
  changeOne,
  type Expected,
  expiryField,
  type Finding,
  type KeyedRecord,
  recordFromText,
  recordToText,
  type SessionRecord,
  type StoredRecord,
  type Version,
  type Work,
} from '@session-stores/core'
import { checkServers } from './check.ts'
import { type Connection, unprinted } from './driver.ts'
import { timeToLive } from './expiry.ts'
import { Keyspace } from './keyspace.ts'
import { changeMany, changeTogether, readMany } from './many.ts'
import { masterOf, pingMaster } from './masters.ts'
import { type Argument, INSERT, REPLACE, run, type Script, TOUCH, WRITE } from './scripts.ts'
import { Users } from './users.ts'

/** How many keys a server looks at for one batch in which each record is read. */
const RECORDS_A_BATCH = 250

/** The verbs as Redis commands: one each, but for sessions of users in a Cluster, which are listed first. */
export class RedisBackend implements Backend {
  readonly name = 'redis'
  /** Not in a Cluster: there one command has keys of one slot only. */
  readonly readMany?: NonNullable<Backend['readMany']>
  readonly changeMany?: NonNullable<Backend['changeMany']>
  readonly #connection: Connection
  readonly #prefix: string
  readonly #keyspace: Keyspace
  /** The sessions' keys and the users' indexes. */
  readonly #everything: Keyspace
  readonly #users: Users
  readonly #hasUsers: boolean

  /**
   * @param prefix what comes before the session's key, the client's own `keyPrefix` included
   * @param hasUsers whether the application says whose a session is
   */
  constructor(connection: Connection, prefix: string, hasUsers: boolean) {
    this.#connection = connection
    this.#prefix = prefix
    this.#keyspace = new Keyspace(connection, prefix)
    this.#everything = new Keyspace(connection, prefix, { withIndexes: true })
    this.#users = new Users(connection, prefix, (keys) => this.#readAll(keys))
    this.#hasUsers = hasUsers
    if (!connection.isCluster) {
      this.readMany = (keys) => this.#readAll(keys)
      this.changeMany = (changes, call) => this.#changeAll(changes, call)
    }
    connection.acquire()
  }

  async read(key: string): Promise<StoredRecord | 'unreadable' | undefined> {
    const text = await this.#connection.send((redis) => redis.get(this.#prefix + key))
    return text === null ? undefined : recordFromText(text)
  }

  async write(key: string, record: SessionRecord, version: Version, { now }: Call): Promise<void> {
    const value = unprinted(recordToText(record, version))
    const ttl = timeToLive(record.expiresAt, now)
    const { userId } = record
    const wasListed = userId !== undefined && (await this.#users.list(key, userId, ttl))
    const keys = this.#users.keysFor(key, userId)
    await this.#connection.send((redis) =>
      keys.length > 1 ? run(redis, WRITE, keys, value, `${ttl}`) : redis.set(this.#prefix + key, value, 'PX', ttl),
    )
    // Whoever has removed an earlier session with this key meanwhile lets its entry end.
    if (wasListed) await this.#users.list(key, userId, ttl)
  }

  async insert(key: string, record: SessionRecord, version: Version, { now }: Call): Promise<'inserted' | 'exists'> {
    const { userId } = record
    const ttl = timeToLive(record.expiresAt, now)
    const wasListed = await this.#users.list(key, userId, ttl)
    const args = [version, unprinted(recordToText(record, version)), `${ttl}`]
    const keys = this.#users.keysFor(key, userId)
    const answer = await this.#connection.send((redis) => run<'inserted' | 'exists'>(redis, INSERT, keys, ...args))
    if (wasListed) await this.#users.list(key, userId, ttl) // as after a write
    return answer
  }

  replace(
    key: string,
    record: SessionRecord,
    version: Version,
    expected: Version,
    { now }: Call,
  ): Promise<'replaced' | 'conflict' | 'missing'> {
    const args = [expected, version, unprinted(recordToText(record, version))]
    return this.#runListed(REPLACE, key, record.userId, args, timeToLive(record.expiresAt, now))
  }

  async touch(
    key: string,
    expiresAt: number,
    expected: Version,
    userId: string | undefined,
    { now }: Call,
  ): Promise<boolean> {
    const args = [expected, expiryField(expiresAt)]
    return (await this.#runListed<0 | 1>(TOUCH, key, userId, args, timeToLive(expiresAt, now))) === 1
  }

  async remove(key: string): Promise<boolean> {
    if (this.#hasUsers) return this.#users.remove(key)
    return (await this.#connection.send((redis) => redis.del(this.#prefix + key))) === 1
  }

  findByUser(userId: string, from: string | undefined): Promise<Batch & { records: KeyedRecord[] }> {
    return this.#users.find(userId, from)
  }

  removeOfUser(userId: string, keys: string[]): Promise<number> {
    return this.#users.removeOfUser(userId, keys)
  }

  /** In a Cluster: the master that has the key. */
  partOf({ key }: Work): string {
    return key === undefined ? '' : masterOf(this.#connection.last, this.#prefix + key)
  }

  async ping({ key }: Work): Promise<void> {
    await this.#connection.connected()
    const name = key === undefined ? undefined : this.#prefix + key
    await this.#connection
      .send((driver) => pingMaster(driver, name))
      .catch((error) => {
        if (error.name !== 'ReplyError') throw error // a refusal is an answer, too
      })
  }

  /** The keys that the servers hold: also those of sessions that ended in the last minutes. */
  count(_cutoff: Cutoff, from: string | undefined): Promise<Batch & { count: number }> {
    return this.#connection.send((driver) => this.#keyspace.count(driver, from))
  }

  async scan(from: string | undefined): Promise<Batch & { records: KeyedRecord[] }> {
    const { keys, next } = await this.#connection.send((driver) => this.#keyspace.batch(driver, from, RECORDS_A_BATCH))
    const found = await this.#readAll(keys)
    const records = keys.flatMap((key, n) => {
      const stored = found[n]
      if (stored instanceof Error) throw stored
      return stored === undefined || stored === 'unreadable' ? [] : [{ key, record: stored.record }]
    })
    return { records, next }
  }

  /** With the users' indexes. */
  clear(from: string | undefined): Promise<Batch> {
    return this.#connection.send((driver) => this.#everything.clear(driver, from))
  }

  /** In a Cluster: of each master. */
  check(_: Expected, { now }: Call): Promise<Finding[]> {
    return this.#connection.send((driver) => checkServers(driver, now))
  }

  close(): void {
    this.#connection.release()
  }

  /** Runs a script that changes a session which must be there. Its last argument is the time to live. */
  async #runListed<T>(
    script: Script,
    key: string,
    userId: string | undefined,
    args: Argument[],
    ttl: number,
  ): Promise<T> {
    if (userId !== undefined) await this.#users.listAgain(key, userId, ttl)
    const keys = this.#users.keysFor(key, userId)
    return this.#connection.send((redis) => run<T>(redis, script, keys, ...args, `${ttl}`))
  }

  async #readAll(keys: string[]): Promise<Array<StoredRecord | 'unreadable' | undefined | Error>> {
    if (keys.length === 0) return []
    if (this.#connection.isCluster) return Promise.all(keys.map((key) => this.read(key)))
    return readMany(this.#connection, this.#prefix, keys)
  }

  #changeAll(changes: Change[], call: Call): Promise<Array<ChangeAnswer | Error>> {
    const keysFor = (key: string, userId: string | undefined) => this.#users.keysFor(key, userId)
    const ttlOf = (expiresAt: number) => timeToLive(expiresAt, call.now)
    return changeMany(
      changes,
      async (change) => changeOne(this, change, call),
      (some) => changeTogether(this.#connection, some, keysFor, ttlOf),
    )
  }
}
