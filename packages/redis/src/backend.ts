import {
  type Backend,
  type Batch,
  type Call,
  type Cutoff,
  expiryField,
  type KeyedRecord,
  recordFromText,
  recordToText,
  type SessionRecord,
  type StoredRecord,
  type Version,
  type Work,
} from '@session-stores/core'
import slotOf from 'cluster-key-slot'
import { type Commands, type Connection, type Driver, isCluster, unprinted } from './driver.ts'
import { Keyspace } from './keyspace.ts'
import { REPLACE, type Script, TOUCH } from './scripts.ts'

/**
 * How much longer than its session a key lives, in ms. The time to live is counted from the clock of the process that
 * wrote, so the server's clock does not matter; but another process may read. As long as no process is more than 5 minutes
 * off the server's time, two of them are at most 10 minutes apart, and no key is gone while a session lives.
 */
const SLACK = 10 * 60_000

/** How many keys a server looks at for one batch, in well under a millisecond. */
const KEYS_A_BATCH = 1000
/** The same where each of them is read. */
const RECORDS_A_BATCH = 250

/** The verbs as Redis commands: one each, on the one key of the session. */
export class RedisBackend implements Backend {
  readonly name = 'redis'
  readonly #connection: Connection
  readonly #prefix: string
  readonly #keyspace: Keyspace

  /** @param prefix what comes before the session's key, the client's own `keyPrefix` included */
  constructor(connection: Connection, prefix: string) {
    this.#connection = connection
    this.#prefix = prefix
    this.#keyspace = new Keyspace(connection, prefix)
    connection.acquire()
  }

  async read(key: string): Promise<StoredRecord | 'unreadable' | undefined> {
    const text = await this.#send((redis) => redis.get(this.#prefix + key))
    return text === null ? undefined : recordFromText(text)
  }

  async write(key: string, record: SessionRecord, version: Version, { now }: Call): Promise<void> {
    const value = unprinted(recordToText(record, version))
    await this.#send((redis) => redis.set(this.#prefix + key, value, 'PX', timeToLive(record.expiresAt, now)))
  }

  replace(
    key: string,
    record: SessionRecord,
    version: Version,
    expected: Version,
    { now }: Call,
  ): Promise<'replaced' | 'conflict' | 'missing'> {
    const value = unprinted(recordToText(record, version))
    return this.#run(REPLACE, key, expected, version, value, `${timeToLive(record.expiresAt, now)}`)
  }

  async touch(
    key: string,
    expiresAt: number,
    expected: Version,
    _userId: string | undefined,
    { now }: Call,
  ): Promise<boolean> {
    const args = [expected, expiryField(expiresAt), `${timeToLive(expiresAt, now)}`]
    return (await this.#run<0 | 1>(TOUCH, key, ...args)) === 1
  }

  async remove(key: string): Promise<boolean> {
    return (await this.#send((redis) => redis.del(this.#prefix + key))) === 1
  }

  /** In a Cluster: the master that has the key. */
  partOf({ key }: Work): string {
    const driver = this.#connection.last
    if (key === undefined || driver === undefined || !isCluster(driver)) return ''
    return driver.slots[slotOf(this.#prefix + key)]?.[0] ?? ''
  }

  async ping({ key }: Work): Promise<void> {
    const driver = await this.#connection.connected()
    if (!isCluster(driver)) await this.#by(driver, driver.ping())
    else if (key === undefined) await this.#by(driver, Promise.any(driver.nodes('master').map((each) => each.ping())))
    else await this.#by(driver, driver.getrange(this.#prefix + key, 0, 0))
  }

  /** The keys that the servers hold: also those of sessions that ended in the last minutes. */
  count(_cutoff: Cutoff, from: string | undefined): Promise<Batch & { count: number }> {
    const driver = this.#connection.driver
    return this.#by(driver, this.#keyspace.count(driver, from, KEYS_A_BATCH))
  }

  async scan(from: string | undefined): Promise<Batch & { records: KeyedRecord[] }> {
    const driver = this.#connection.driver
    const { keys, next } = await this.#by(driver, this.#keyspace.batch(driver, from, RECORDS_A_BATCH))
    const found = await Promise.all(keys.map((key) => this.read(key)))
    const records = keys.flatMap((key, n) => {
      const stored = found[n]
      return stored === undefined || stored === 'unreadable' ? [] : [{ key, record: stored.record }]
    })
    return { records, next }
  }

  async clear(from: string | undefined): Promise<Batch> {
    const driver = this.#connection.driver
    const { keys, next } = await this.#by(driver, this.#keyspace.batch(driver, from, KEYS_A_BATCH))
    const names = keys.map((key) => this.#prefix + key)
    // In a Cluster one command deletes only keys of one slot, and these are spread over all of them.
    const commands = isCluster(driver) ? names.map((name) => [name]) : names.length > 0 ? [names] : []
    await this.#by(driver, Promise.all(commands.map((each) => driver.unlink(...each))))
    return { next }
  }

  close(): void {
    this.#connection.release()
  }

  /** Runs a script by its name; the whole text goes only to a server that does not know it yet. */
  #run<T>(script: Script, key: string, ...args: Array<string | Buffer>): Promise<T> {
    return this.#send(async (redis) => {
      try {
        return (await redis.evalsha(script.sha1, 1, this.#prefix + key, ...args)) as T
      } catch (error) {
        if (!(error as Error).message?.startsWith('NOSCRIPT')) throw error
        return (await redis.eval(script.lua, 1, this.#prefix + key, ...args)) as T
      }
    })
  }

  #send<T>(command: (redis: Commands) => Promise<T>): Promise<T> {
    const driver = this.#connection.driver
    return this.#by(driver, command(driver))
  }

  #by<T>(driver: Driver, answer: Promise<T>): Promise<T> {
    return answer.catch((error) => {
      throw this.#connection.failure(error, driver)
    })
  }
}

/** In ms from now, for the server. */
function timeToLive(expiresAt: number, now: number): number {
  return Math.max(1, Math.ceil(expiresAt - now) + SLACK)
}
