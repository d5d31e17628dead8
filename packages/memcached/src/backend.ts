import {
  type Backend,
  type Batch,
  type Call,
  type Change,
  type ChangeAnswer,
  changeOne,
  type Expected,
  type Finding,
  recordFromText,
  type SessionRecord,
  type StoredRecord,
  type Version,
  type Work,
  withExpiry,
} from '@session-stores/core'
import { type CasToken, CasTokens } from './cas-tokens.ts'
import { checkEach, pingAny, renewEach } from './every-server.ts'
import { exptimeFor } from './expiry.ts'
import { checkSize, failure, type Item, itemOf } from './item.ts'
import { changeMany, readMany } from './many.ts'
import type { Found, Namespace } from './namespace.ts'
import { type Command, isRefused, Opcode, Status, unexpected } from './protocol.ts'

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
    const found = await this.#namespaceOf(key).find(key, call)
    if (found === undefined) return undefined
    const stored = recordFromText(found.text)
    if (stored !== 'unreadable') this.#casTokens.set(stored.version, found)
    return stored
  }

  async write(key: string, record: SessionRecord, version: Version, call: Call): Promise<void> {
    const namespace = this.#namespaceOf(key)
    const item = itemOf(record, version, call)
    await checkSize(namespace, key, item, call)
    for (;;) {
      const found = await this.#add(namespace, key, item, call)
      if (!found || found.text === item.text || (await this.#overwrite(namespace, key, item, found, call))) return
    }
  }

  async insert(key: string, record: SessionRecord, version: Version, call: Call): Promise<'inserted' | 'exists'> {
    const namespace = this.#namespaceOf(key)
    const item = itemOf(record, version, call)
    await checkSize(namespace, key, item, call)
    const found = await this.#add(namespace, key, item, call)
    return found && versionIn(found) !== version ? 'exists' : 'inserted'
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
      const found = await namespace.find(key, call)
      if (found === undefined) return 'missing'
      if (versionIn(found) === version) return 'replaced'
      if (versionIn(found) !== expected) return 'conflict'
      if (await this.#overwrite(namespace, key, item, found, call)) return 'replaced'
    }
  }

  async touch(
    key: string,
    expiresAt: number,
    expected: Version,
    _userId: string | undefined,
    call: Call,
  ): Promise<boolean> {
    const namespace = this.#namespaceOf(key)
    for (;;) {
      const found = await namespace.find(key, call)
      if (found === undefined) return false
      const stored = recordFromText(found.text)
      if (stored === 'unreadable' || stored.version !== expected) return false
      if (stored.record.expiresAt >= expiresAt) return true
      const text = withExpiry(found.text, expiresAt)
      const item: Item = { ...stored, text, exptime: exptimeFor(expiresAt, call.now) }
      if (await this.#overwrite(namespace, key, item, found, call)) return true
    }
  }

  async remove(key: string, call: Call): Promise<boolean> {
    const answer = await this.#namespaceOf(key).run(key, { opcode: Opcode.delete }, call)
    if (answer === undefined || answer.status === Status.notFound) return false
    if (answer.status === Status.ok) return true
    throw unexpected(answer)
  }

  readMany(keys: string[], call: Call): Promise<Array<StoredRecord | 'unreadable' | undefined | Error>> {
    return readMany(this.#namespaceOf(keys[0] as string), keys, this.#casTokens, call)
  }

  changeMany(changes: Change[], call: Call): Promise<Array<ChangeAnswer | Error>> {
    const namespace = this.#namespaceOf((changes[0] as Change).key)
    return changeMany(namespace, changes, this.#casTokens, call, async (change) => changeOne(this, change, call))
  }

  /** The server of the key; for what concerns the whole store, whichever answers first. */
  ping({ key }: Work, call: Call): Promise<void> {
    return key === undefined ? pingAny(this.#namespaces, call) : this.#namespaceOf(key).ping(call, call.signal)
  }

  partOf({ key }: Work): string {
    return (key !== undefined && this.#namespaces[this.#indexOf(key)]?.server.name) || ''
  }

  clear(from: string | undefined, call: Call): Promise<Batch> {
    return renewEach(this.#namespaces, from, call)
  }

  check({ dataBytes }: Expected, call: Call): Promise<Finding[]> {
    return checkEach(this.#namespaces, dataBytes, call)
  }

  close(): void {
    for (const { server } of this.#namespaces) server.close()
  }

  /** Answers what is there already, if there is something. */
  async #add(namespace: Namespace, key: string, item: Item, call: Call): Promise<Found | undefined> {
    const command: Command = { opcode: Opcode.add, value: item.text, exptime: item.exptime }
    for (;;) {
      const answer = await namespace.add(key, command, call)
      if (answer.status === Status.ok) {
        this.#casTokens.set(item.version, answer)
        return undefined
      }
      if (!isRefused(answer)) throw failure(answer, item)
      const found = await namespace.find(key, call)
      if (found) return found
    }
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

function versionIn({ text }: Found): Version | undefined {
  const stored = recordFromText(text)
  return stored === 'unreadable' ? undefined : stored.version
}
