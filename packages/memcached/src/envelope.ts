import type { SessionRecord, StoredRecord, Version } from '@session-stores/core'

// The value of an item. Memcached keeps nothing of what it is told beside the value to the millisecond, so all of the
// record is in there:
//
//   0  1 byte   the number of this format
//   1  1 byte   bytes of the version
//   2  4 bytes  bytes of the user id, or NO_USER
//   6  8 bytes  createdAt, a double
//  14  8 bytes  expiresAt, a double
//  22           version, user id (UTF-8), data (UTF-8)

const FORMAT = 1
const NO_USER = 0xffff_ffff
const EXPIRES_AT = 14
const HEAD_BYTES = 22

export function encodeRecord({ data, createdAt, expiresAt, userId }: SessionRecord, version: Version): Buffer {
  const userBytes = userId === undefined ? 0 : Buffer.byteLength(userId)
  const dataAt = HEAD_BYTES + version.length + userBytes
  const value = Buffer.allocUnsafe(dataAt + Buffer.byteLength(data))
  value.writeUInt8(FORMAT, 0)
  value.writeUInt8(version.length, 1)
  value.writeUInt32BE(userId === undefined ? NO_USER : userBytes, 2)
  value.writeDoubleBE(createdAt, 6)
  value.writeDoubleBE(expiresAt, EXPIRES_AT)
  value.write(version, HEAD_BYTES, 'latin1')
  if (userId !== undefined) value.write(userId, HEAD_BYTES + version.length)
  value.write(data, dataAt)
  return value
}

/** The record; undefined when the value is not of this format, as one that a later release wrote. */
export function decodeRecord(value: Buffer): StoredRecord | undefined {
  if (value.length < HEAD_BYTES || value.readUInt8(0) !== FORMAT) return undefined
  const userAt = HEAD_BYTES + value.readUInt8(1)
  const userBytes = value.readUInt32BE(2)
  const dataAt = userBytes === NO_USER ? userAt : userAt + userBytes
  if (dataAt > value.length) return undefined
  const record: SessionRecord = {
    data: value.toString('utf8', dataAt),
    createdAt: value.readDoubleBE(6),
    expiresAt: value.readDoubleBE(EXPIRES_AT),
  }
  if (userBytes !== NO_USER) record.userId = value.toString('utf8', userAt, dataAt)
  return { record, version: value.toString('latin1', HEAD_BYTES, userAt) }
}

/** The same value with another expiry; not a byte of it is read or written otherwise. */
export function withExpiry(value: Buffer, expiresAt: number): Buffer {
  const moved = Buffer.from(value)
  moved.writeDoubleBE(expiresAt, EXPIRES_AT)
  return moved
}
