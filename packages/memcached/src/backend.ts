import {
  type Backend,
  type Batch,
  type Call,
  recordFromText,
  type SessionRecord,
  type StoredRecord,
  type Version,
  type Work,
  withExpiry,
} from '@session-stores/core'
import { type CasToken, CasTokens } from './cas-tokens.ts'
import { exptimeFor } from './expiry.ts'
import { checkSize, failure, type Item, itemOf } from './item.ts'
import type { Namespace } from './namespace.ts'
import { type Answer, type Command, Opcode, Status, unexpected } from './protocol.ts'

interface Found extends CasToken {
  text: string
  stored: StoredRecord | 'unreadable'
}

/**
 * The verbs on Memcached. SET is never sent for a record: when the server has no room, a SET deletes the record that it
 * fails to overwrite; ADD and REPLACE leave it. What exists is only replaced at its CAS token, so that a request that
 * arrives late, after it was given up, overwrites nothing newer.
 */
export class MemcachedBackend implements Backend {
  readonly name = 'memcached'
  readonly #namespaces: readonly Namespace[]
  readonly #indexOf: (key: string) => number
  readonly #casTokens = new CasTokens()

  /**
   * @param namespaces one for each server
   * @param indexOf which of them holds this key
   */
  constructor(namespaces: readonly Namespace[], indexOf: (key: string) => number) {
    this.#namespaces = namespaces
    this.#indexOf = indexOf
  }

  async read(key: string, call: Call): Promise<StoredRecord | 'unreadable' | undefined> {
    const found = await find(this.#namespaceOf(key), key, call)
    if (found && found.stored !== 'unreadable') this.#casTokens.set(found.stored.version, found)
    return found?.stored
  }

  async write(key: string, record: SessionRecord, version: Version, call: Call): Promise<void> {
    const namespace = this.#namespaceOf(key)
    const item = itemOf(record, version, call)
    await checkSize(namespace, key, item, call)
    const command: Command = { opcode: Opcode.add, value: item.text, exptime: item.exptime }
    for (;;) {
      const answer = await namespace.add(key, command, call)
      if (answer.status === Status.ok) return this.#casTokens.set(version, answer)
      if (!isRefused(answer)) throw failure(answer, item)
      // It is there already: this write itself, sent before, or another record.
      const found = await find(namespace, key, call)
      if (found && (versionOf(found) === version || (await this.#overwrite(namespace, key, item, found, call)))) return
    }
  }

  async replace(
    key: string,
    record: SessionRecord,
    version: Version,
    expected: Version,
    call: Call,
  ): Promise<'replaced' | 'conflict' | 'missing'> {
    const namespace = this.#namespaceOf(key)
    const item = itemOf(record, version, call)
    await checkSize(namespace, key, item, call)
    const token = this.#casTokens.get(expected)
    if (token && (await this.#overwrite(namespace, key, item, token, call))) return 'replaced'
    for (;;) {
      const found = await find(namespace, key, call)
      if (found === undefined) return 'missing'
      if (versionOf(found) === version) return 'replaced'
      if (versionOf(found) !== expected) return 'conflict'
      if (await this.#overwrite(namespace, key, item, found, call)) return 'replaced'
    }
  }

  async touch(key: string, expiresAt: number, expected: Version, call: Call): Promise<boolean> {
    const namespace = this.#namespaceOf(key)
    for (;;) {
      const found = await find(namespace, key, call)
      if (found === undefined || found.stored === 'unreadable' || found.stored.version !== expected) return false
      const { record } = found.stored
      if (record.expiresAt >= expiresAt) return true
      const text = withExpiry(found.text, expiresAt)
      const item: Item = { record, version: expected, text, exptime: exptimeFor(expiresAt, call.now) }
      if (await this.#overwrite(namespace, key, item, found, call)) return true
    }
  }

  async remove(key: string, call: Call): Promise<boolean> {
    const answer = await this.#namespaceOf(key).run(key, { opcode: Opcode.delete }, call)
    if (answer === undefined || answer.status === Status.notFound) return false
    if (answer.status === Status.ok) return true
    throw unexpected(answer)
  }

  /** The server of the key; for what concerns the whole store, whichever answers first. */
  async ping({ key }: Work, call: Call): Promise<void> {
    if (key !== undefined) return this.#namespaceOf(key).ping(call, call.signal)
    const answered = new AbortController()
    const signal = AbortSignal.any([call.signal, answered.signal])
    try {
      await Promise.any(this.#namespaces.map((namespace) => namespace.ping(call, signal)))
    } catch (error) {
      throw error instanceof AggregateError && error.errors.length === 1 ? error.errors[0] : error
    } finally {
      answered.abort()
    }
  }

  partOf({ key }: Work): string {
    return (key !== undefined && this.#namespaces[this.#indexOf(key)]?.server.name) || ''
  }

  /**
   * One batch for all servers, whose names are in `from`. Those that could not be asked are left for the next batch, so
   * that trying again ends no session on the others that began since.
   */
  async clear(from: string | undefined, call: Call): Promise<Batch> {
    const left =
      from === undefined
        ? this.#namespaces
        : this.#namespaces.filter(({ server }) => from.split(' ').includes(server.name))
    const results = await Promise.allSettled(left.map((namespace) => namespace.renew(call)))
    const failed = left.filter((_, n) => results[n]?.status === 'rejected')
    const failure = results.find((result) => result.status === 'rejected')
    if (failure && failed.length === left.length) throw failure.reason
    return { next: failure && failed.map(({ server }) => server.name).join(' ') }
  }

  close(): void {
    for (const { server } of this.#namespaces) server.close()
  }

  /** Answers false when the item is not what it was when the token was seen. */
  async #overwrite(
    namespace: Namespace,
    key: string,
    item: Item,
    { generation, cas }: CasToken,
    call: Call,
  ): Promise<boolean> {
    const command: Command = { opcode: Opcode.replace, value: item.text, exptime: item.exptime, cas }
    const answer = await namespace.run(key, command, call, generation)
    if (answer === undefined || isRefused(answer)) return false
    if (answer.status !== Status.ok) throw failure(answer, item)
    this.#casTokens.set(item.version, answer)
    return true
  }

  #namespaceOf(key: string): Namespace {
    const index = this.#indexOf(key)
    const namespace = this.#namespaces[index]
    if (namespace) return namespace
    const last = this.#namespaces.length - 1
    throw new TypeError(`client.getServer must answer the place of a server, 0 to ${last}; got ${index}`)
  }
}

async function find(namespace: Namespace, key: string, call: Call): Promise<Found | undefined> {
  const answer = await namespace.run(key, { opcode: Opcode.get }, call)
  if (answer === undefined || answer.status === Status.notFound) return undefined
  if (answer.status !== Status.ok) throw unexpected(answer)
  const { generation, cas, value } = answer
  return { generation, cas, text: value, stored: recordFromText(value) }
}

function versionOf({ stored }: Found): Version | undefined {
  return stored === 'unreadable' ? undefined : stored.version
}

/** Whether the condition of a store command did not hold. */
function isRefused({ status }: Answer): boolean {
  return status === Status.exists || status === Status.notFound || status === Status.notStored
}
