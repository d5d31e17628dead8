import {
  type Backend,
  newVersion,
  type SessionRecord,
  SessionTooLarge,
  type StoredRecord,
  type Version,
} from '@session-stores/core'
import { decodeRecord, encodeRecord, withExpiry } from './envelope.ts'
import { exptimeFor } from './expiry.ts'
import { type Answer, Namespace } from './namespace.ts'
import { type Place, Places } from './places.ts'
import { Opcode, Status, unexpected } from './protocol.ts'
import type { Server } from './server.ts'

/** What the server needs for an item besides key and value: its header, the cas and some terminators, generously. */
const ITEM_OVERHEAD = 80
/** No server can be told to take smaller items than this (`-I 1k`), so up to here nobody needs to ask. */
const LEAST_ITEM_BYTES = 1024

interface Found extends Place {
  value: Buffer
  /** Undefined when the value is none of ours. */
  stored: StoredRecord | undefined
}

interface MemcachedBackendOptions {
  servers: readonly Server[]
  /** The place in `servers` of the one for a key. */
  place: (key: string) => number
  prefix: string
  /** How long one verb may take, in ms. */
  timeout: number
  now: () => number
}

/**
 * The verbs on memcached. Plain SET is never sent for a record: when the server has no room, a SET deletes the record
 * that it fails to overwrite; ADD and REPLACE leave it.
 */
export class MemcachedBackend implements Backend {
  readonly name = 'memcached'
  readonly #namespaces: Namespace[]
  readonly #place: (key: string) => number
  readonly #timeout: number
  readonly #now: () => number
  readonly #places = new Places()

  constructor({ servers, place, prefix, timeout, now }: MemcachedBackendOptions) {
    this.#namespaces = servers.map((server) => new Namespace(server, prefix))
    this.#place = place
    this.#timeout = timeout
    this.#now = now
  }

  async read(key: string): Promise<StoredRecord | undefined> {
    const found = await this.#find(key, this.#deadline())
    if (found === undefined) return undefined
    // Not readable by this release: for core that is a record whose data cannot be read.
    if (found.stored === undefined) return { record: unreadable(), version: newVersion() }
    this.#places.set(found.stored.version, found)
    return found.stored
  }

  async write(key: string, record: SessionRecord): Promise<Version> {
    const deadline = this.#deadline()
    const version = newVersion()
    const value = encodeRecord(record, version)
    await this.#checkSize(key, record, value, deadline)
    const exptime = exptimeFor(record.expiresAt, this.#now())
    // A record is hardly ever there already. Then, or when this is a replay, it is overwritten.
    for (let opcode: number = Opcode.add; ; opcode = opcode === Opcode.add ? Opcode.replace : Opcode.add) {
      const answer = await this.#namespace(key).runAnyway(key, { opcode, value, exptime }, deadline)
      if (answer.status === Status.ok) {
        this.#places.set(version, answer)
        return version
      }
      if (!isRefused(answer)) throw this.#failed(answer, record, value)
    }
  }

  async replace(key: string, record: SessionRecord, version: Version): Promise<Version | 'conflict' | 'missing'> {
    const deadline = this.#deadline()
    const mine = newVersion()
    const value = encodeRecord(record, mine)
    await this.#checkSize(key, record, value, deadline)
    const exptime = exptimeFor(record.expiresAt, this.#now())
    let place = this.#places.get(version)
    for (;;) {
      if (place === undefined) {
        const found = await this.#find(key, deadline)
        if (found === undefined) return 'missing'
        const stored = found.stored?.version
        if (stored === mine) return mine // a replay of this very write
        if (stored !== version) return 'conflict'
        place = found
      }
      const answer = await this.#overwrite(key, value, exptime, place, deadline)
      if (answer?.status === Status.ok) {
        this.#places.set(mine, answer)
        return mine
      }
      if (answer && !isRefused(answer)) throw this.#failed(answer, record, value)
      place = undefined // touched, replaced or cleared meanwhile: look again
    }
  }

  async touch(key: string, expiresAt: number, version: Version): Promise<boolean> {
    const deadline = this.#deadline()
    for (;;) {
      const found = await this.#find(key, deadline)
      if (found?.stored?.version !== version) return false
      if (found.stored.record.expiresAt >= expiresAt) return true
      const value = withExpiry(found.value, expiresAt)
      const answer = await this.#overwrite(key, value, exptimeFor(expiresAt, this.#now()), found, deadline)
      if (answer?.status === Status.ok) {
        this.#places.set(version, answer)
        return true
      }
      if (answer && !isRefused(answer)) throw unexpected(answer)
    }
  }

  async remove(key: string): Promise<boolean> {
    const answer = await this.#namespace(key).run(key, { opcode: Opcode.delete }, this.#deadline())
    if (answer === undefined || answer.status === Status.notFound) return false
    if (answer.status === Status.ok) return true
    throw unexpected(answer)
  }

  /** Answered by whichever server answers first: while one does, the store is not down. */
  async ping(): Promise<void> {
    const deadline = this.#deadline()
    try {
      await Promise.any(this.#namespaces.map(({ server }) => server.ping(deadline)))
    } catch (error) {
      throw error instanceof AggregateError && error.errors.length === 1 ? error.errors[0] : error
    }
  }

  /** All servers or an error: records on a server that cannot be reached stay, so clearing must then be repeated. */
  async clear(): Promise<void> {
    const deadline = this.#deadline()
    const results = await Promise.allSettled(this.#namespaces.map((namespace) => namespace.renew(deadline)))
    const failed = results.find((result) => result.status === 'rejected')
    if (failed) throw failed.reason
  }

  async #find(key: string, deadline: number): Promise<Found | undefined> {
    const answer = await this.#namespace(key).run(key, { opcode: Opcode.get }, deadline)
    if (answer === undefined || answer.status === Status.notFound) return undefined
    if (answer.status !== Status.ok) throw unexpected(answer)
    const { generation, cas, value } = answer
    return { generation, cas, value, stored: decodeRecord(value) }
  }

  #overwrite(key: string, value: Buffer, exptime: number, { generation, cas }: Place, deadline: number) {
    return this.#namespace(key).run(key, { opcode: Opcode.replace, value, exptime, cas }, deadline, generation)
  }

  /** @throws SESSION_TOO_LARGE before the server sees the record */
  async #checkSize(key: string, record: SessionRecord, value: Buffer, deadline: number): Promise<void> {
    const namespace = this.#namespace(key)
    const overhead = ITEM_OVERHEAD + namespace.itemKeyBytes(key)
    if (value.length + overhead <= LEAST_ITEM_BYTES) return
    const limit = (await namespace.server.itemBytes(deadline)) - overhead
    if (value.length > limit) throw tooLarge(record, value, limit)
  }

  #failed(answer: Answer, record: SessionRecord, value: Buffer): Error {
    // Only when the server was restarted with a smaller limit since it was asked.
    return answer.status === Status.tooLarge ? tooLarge(record, value, value.length - 1) : unexpected(answer)
  }

  #namespace(key: string): Namespace {
    return this.#namespaces[this.#place(key)] as Namespace
  }

  #deadline(): number {
    return performance.now() + this.#timeout
  }
}

/** Whether the condition of a store command did not hold. */
function isRefused({ status }: Answer): boolean {
  return status === Status.exists || status === Status.notFound || status === Status.notStored
}

/** In bytes of the session, as for `maxBytes`, not of the item. */
function tooLarge({ data }: SessionRecord, value: Buffer, limit: number): Error {
  const bytes = Buffer.byteLength(data)
  return new SessionTooLarge(bytes, Math.max(limit - (value.length - bytes), 0))
}

function unreadable(): SessionRecord {
  return { data: '', createdAt: 0, expiresAt: 8.64e15 }
}
