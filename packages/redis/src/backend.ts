import { type Backend, newVersion, type SessionRecord, type StoredRecord, type Version } from '@session-stores/core'
import { isCluster, optionsOf, type RedisClient } from './client.ts'
import { withoutRecord } from './errors.ts'
import { Keyspace } from './keyspace.ts'
import { Lifeline } from './lifeline.ts'
import { decode, encode, fixedWidth } from './record.ts'
import { REPLACE, type Script, TOUCH } from './scripts.ts'
import { within } from './within.ts'

/**
 * How much longer than its session a key lives, in ms. The time to live is counted from the clock of the process that
 * wrote, so the server's clock does not matter; but another process may read. As long as no process is more than 5 minutes
 * off the server's time, two of them are at most 10 minutes apart, and no key is gone while a session lives.
 */
const SLACK = 10 * 60_000

/** How many records a scan reads at once. */
const SCAN_BATCH = 50

/** The verbs as Redis commands: one each, on the one key of the session. */
export class RedisBackend implements Backend {
  readonly name = 'redis'
  readonly #client: RedisClient
  readonly #prefix: string
  readonly #timeout: number
  readonly #now: () => number
  readonly #lifeline: Lifeline
  readonly #keyspace: Keyspace

  /**
   * @param timeout how long a command waits for a lost connection to come back, and how long each of the many commands of
   * `count` and `clear` may take, in ms
   * @param now the clock by which `expiresAt` is judged
   */
  constructor(client: RedisClient, prefix: string, timeout: number, now: () => number) {
    this.#client = client
    this.#prefix = prefix
    this.#timeout = timeout
    this.#now = now
    this.#lifeline = new Lifeline(client, timeout)
    this.#keyspace = new Keyspace(client, (optionsOf(client).keyPrefix ?? '') + prefix, timeout)
  }

  async read(key: string): Promise<StoredRecord | undefined> {
    const value = await this.#send([key], () => this.#client.get(this.#prefix + key))
    return value === null ? undefined : decode(value)
  }

  async write(key: string, record: SessionRecord): Promise<Version> {
    const version = newVersion()
    const value = encode(record, version)
    await this.#send([key, value], () =>
      this.#client.set(this.#prefix + key, value, 'PX', this.#timeToLive(record.expiresAt)),
    )
    return version
  }

  async replace(key: string, record: SessionRecord, version: Version): Promise<Version | 'conflict' | 'missing'> {
    const next = newVersion()
    const timeToLive = `${this.#timeToLive(record.expiresAt)}`
    const answer = await this.#run(REPLACE, key, version, next, encode(record, next), timeToLive)
    return answer === 'replaced' ? next : (answer as 'conflict' | 'missing')
  }

  async touch(key: string, expiresAt: number, version: Version): Promise<boolean> {
    const timeToLive = `${this.#timeToLive(expiresAt)}`
    return Number(await this.#run(TOUCH, key, version, fixedWidth(expiresAt), timeToLive)) === 1
  }

  async remove(key: string): Promise<boolean> {
    return Number(await this.#send([key], () => this.#client.del(this.#prefix + key))) === 1
  }

  async ping(): Promise<void> {
    try {
      await this.#lifeline.ping()
    } catch (error) {
      throw withoutRecord(error, [])
    }
  }

  close(): void {
    this.#lifeline.close()
  }

  /** The keys that the server holds: also those of sessions that ended in the last minutes. */
  async count(): Promise<number> {
    const seen = new Set<string>() // a SCAN may answer a key twice
    await this.#send([], async () => {
      for await (const keys of this.#keyspace.batches()) for (const key of keys) seen.add(key)
    })
    return seen.size
  }

  async *scan(): AsyncGenerator<{ key: string; record: SessionRecord }, void, undefined> {
    const batches = this.#keyspace.batches()
    for (;;) {
      const next = await this.#send([], () => batches.next())
      if (next.done) return
      for (let from = 0; from < next.value.length; from += SCAN_BATCH) {
        const keys = next.value.slice(from, from + SCAN_BATCH)
        const found = await Promise.all(keys.map((key) => this.read(key)))
        for (const [n, key] of keys.entries()) {
          const record = found[n]?.record
          if (record) yield { key, record }
        }
      }
    }
  }

  async clear(): Promise<void> {
    await this.#send([], async () => {
      for await (const keys of this.#keyspace.batches()) {
        const names = keys.map((key) => this.#prefix + key)
        // In a Cluster one command deletes only keys of one slot, and these are spread over all of them.
        const commands = isCluster(this.#client) ? names.map((name) => [name]) : [names]
        await within(this.#timeout, Promise.all(commands.map((each) => this.#client.unlink(...each))))
      }
    })
  }

  /** In ms from now, for the server. */
  #timeToLive(expiresAt: number): number {
    return Math.max(1, Math.ceil(expiresAt - this.#now()) + SLACK)
  }

  /** Runs a script by its name; the whole text goes only to a server that does not know it yet. */
  #run(script: Script, key: string, ...args: string[]): Promise<unknown> {
    return this.#send([key, ...args], async () => {
      try {
        return await this.#client.evalsha(script.sha1, 1, this.#prefix + key, ...args)
      } catch (error) {
        if (!(error as Error).message?.startsWith('NOSCRIPT')) throw error
        return this.#client.eval(script.lua, 1, this.#prefix + key, ...args)
      }
    })
  }

  /** @param secrets what the command holds and an error must not */
  async #send<T>(secrets: readonly string[], command: () => Promise<T>): Promise<T> {
    try {
      if (this.#lifeline.isBroken) await this.#lifeline.restored()
      return await command()
    } catch (error) {
      throw withoutRecord(error, secrets)
    }
  }
}
