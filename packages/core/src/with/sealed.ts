import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto'
import { andThen } from '../awaitable.ts'
import type { Batch, KeyedRecord, SessionRecord, StoredRecord } from '../backend.ts'
import { type StoreIdentity, type UnopenedMessage, unopenedChannel } from '../diagnostics.ts'
import { SessionLayoutUnknown } from '../errors.ts'
import type { Records } from '../guard/guarded-backend.ts'
import type { EncryptionKey } from './encryption-key.ts'

// A sealed text: `sealed.1.<hint of the key>.<base64url of nonce, ciphertext and tag>`. 1 is the layout's number. It is no
// JSON object, so it cannot be taken for a session that is not sealed.

const LAYOUT = 'sealed.1.'
const SEALED = /^sealed\.1\.([\w-]+)\.([\w-]+)$/
const ALGORITHM = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * Seals the data of each record with AES-256-GCM. Its key in the database is associated data, so that no sealed text can be
 * moved to another session. What was tampered with, or was sealed by none of the keys, reads as `'unreadable'`.
 *
 * @param keys the first one seals, any of them opens
 * @param acceptPlaintext whether a text that is not sealed is read as it is
 * @param identity for the diagnostics channel
 */
export function sealed(
  inner: Records,
  keys: readonly EncryptionKey[],
  acceptPlaintext: boolean,
  identity: StoreIdentity,
): Records {
  const [newest] = keys as [EncryptionKey]
  const byHint = new Map(keys.map((each) => [each.hint, each.key]))

  const seal = (key: string, record: SessionRecord): SessionRecord => ({
    ...record,
    data: encrypt(record.data, key, newest),
  })
  const open = (key: string, record: SessionRecord): SessionRecord | undefined => {
    const data = decrypt(record.data, key, byHint, acceptPlaintext)
    if (data !== undefined) return { ...record, data }
    unopenedChannel.publish({ ...identity } satisfies UnopenedMessage)
    return undefined
  }
  const openStored = (key: string, stored: StoredRecord | 'unreadable' | undefined) => {
    if (stored === undefined || stored === 'unreadable') return stored
    const record = open(key, stored.record)
    return record === undefined ? 'unreadable' : { record, version: stored.version }
  }
  const openBatch = (batch: Batch & { records: KeyedRecord[] }) => ({
    ...batch,
    records: batch.records.flatMap(({ key, record }) => {
      const opened = open(key, record)
      return opened === undefined ? [] : [{ key, record: opened }]
    }),
  })

  const { insert, scan, findByUser } = inner
  const layer: Records = {
    ...optionalVerbs(inner),
    name: inner.name,
    read: (key, limit) => andThen(inner.read(key, limit), (stored) => openStored(key, stored)),
    write: (key, record, version, limit) => inner.write(key, seal(key, record), version, limit),
    replace: (key, record, version, expected, limit) => inner.replace(key, seal(key, record), version, expected, limit),
    touch: (key, expiresAt, expected, userId, limit) => inner.touch(key, expiresAt, expected, userId, limit),
    remove: (key, limit) => inner.remove(key, limit),
    ...(insert && {
      insert: (key, record, version, limit) => insert(key, seal(key, record), version, limit),
    }),
    ...(scan && { scan: (from, limit) => andThen(scan(from, limit), openBatch) }),
    ...(findByUser && { findByUser: (userId, from, limit) => andThen(findByUser(userId, from, limit), openBatch) }),
  }
  return layer
}

/** Those that deal with no data. */
function optionalVerbs({ prune, count, clear, removeOfUser, ping }: Records): Partial<Records> {
  return {
    ...(prune && { prune }),
    ...(count && { count }),
    ...(clear && { clear }),
    ...(removeOfUser && { removeOfUser }),
    ...(ping && { ping }),
  }
}

/** How many bytes the seal of a text of so many bytes has. */
export function sealedBytes(bytes: number, { hint }: EncryptionKey): number {
  return LAYOUT.length + hint.length + 1 + Math.ceil(((NONCE_BYTES + bytes + TAG_BYTES) * 4) / 3)
}

function encrypt(text: string, recordKey: string, { key, hint }: EncryptionKey): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(ALGORITHM, key, nonce).setAAD(associatedData(recordKey))
  const parts = [nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]
  return `${LAYOUT}${hint}.${Buffer.concat(parts).toString('base64url')}`
}

/** Undefined when it cannot be opened. */
function decrypt(
  text: string,
  recordKey: string,
  keys: ReadonlyMap<string, KeyObject>,
  acceptPlaintext: boolean,
): string | undefined {
  if (!text.startsWith(LAYOUT)) {
    const [, layout] = /^sealed\.(\d{1,4})\./.exec(text) ?? []
    if (layout !== undefined) throw new SessionLayoutUnknown(`sealed.${layout}`)
    return acceptPlaintext ? text : undefined
  }
  const [, hint, payload] = SEALED.exec(text) ?? []
  const key = keys.get(hint ?? '')
  const bytes = Buffer.from(payload ?? '', 'base64url')
  if (key === undefined || bytes.length < NONCE_BYTES + TAG_BYTES) return undefined
  const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
    .setAAD(associatedData(recordKey))
    .setAuthTag(bytes.subarray(-TAG_BYTES))
  try {
    return decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
  } catch {
    return undefined // not what was sealed
  }
}

function associatedData(recordKey: string): Buffer {
  return Buffer.from(LAYOUT + recordKey)
}
