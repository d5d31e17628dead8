// The binary protocol, as far as a session store needs it: protocol_binary.h and doc/protocol-binary.xml of memcached 1.6.

export const Opcode = {
  get: 0x00,
  set: 0x01,
  add: 0x02,
  replace: 0x03,
  delete: 0x04,
  /** Like get, but a missing key is not answered at all. */
  getQuietly: 0x09,
  noop: 0x0a,
  stat: 0x10,
} as const

export const Status = {
  ok: 0x00,
  notFound: 0x01,
  /** add: the key is there; with a cas: the item has another one. */
  exists: 0x02,
  tooLarge: 0x03,
  /** Older servers answer it to an add or replace whose condition does not hold. */
  notStored: 0x05,
} as const

const HEADER_BYTES = 24
/** A longer key makes the server close the connection, with every request in flight on it. */
const MAX_KEY_BYTES = 250

export interface Command {
  opcode: number
  key?: string
  /** A function makes another one each time the command is sent. */
  value?: Buffer | (() => Buffer)
  /** Seconds as the server reads them: see `expiry.ts`. Only for commands that store. */
  exptime?: number
  /** Store only if the item still has this one; 0 for in any case. */
  cas?: bigint
}

export interface Response {
  opcode: number
  status: number
  cas: bigint
  /** Only in answers to `stat`. */
  key: Buffer
  value: Buffer
}

/** What memjs hands to a callback. */
export interface MemjsResponse {
  header: { opcode: number; status: number; cas: Buffer; totalBodyLength: number }
  key: Buffer
  val: Buffer
}

/** @throws TypeError for a key that the server would hang up on */
export function encodeCommand(
  { opcode, key = '', value: valueOrMaker = NOTHING, exptime, cas = 0n }: Command,
  opaque: number,
): Buffer {
  const value = typeof valueOrMaker === 'function' ? valueOrMaker() : valueOrMaker
  const keyBytes = Buffer.byteLength(key)
  if (keyBytes > MAX_KEY_BYTES) {
    throw new TypeError(`the storage key has ${keyBytes} bytes, Memcached takes ${MAX_KEY_BYTES}`)
  }
  const extraBytes = exptime === undefined ? 0 : 8
  const request = Buffer.alloc(HEADER_BYTES + extraBytes + keyBytes + value.length)
  request.writeUInt8(0x80, 0)
  request.writeUInt8(opcode, 1)
  request.writeUInt16BE(keyBytes, 2)
  request.writeUInt8(extraBytes, 4)
  request.writeUInt32BE(request.length - HEADER_BYTES, 8)
  request.writeUInt32BE(opaque, 12)
  request.writeBigUInt64BE(cas, 16)
  // The extras of a command that stores: 4 bytes of flags, which we leave 0, and the exptime.
  if (exptime !== undefined) request.writeUInt32BE(exptime, HEADER_BYTES + 4)
  request.write(key, HEADER_BYTES + extraBytes)
  value.copy(request, HEADER_BYTES + extraBytes + keyBytes)
  return request
}

export function fromMemjs({ header, key, val }: MemjsResponse): Response {
  return { opcode: header.opcode, status: header.status, cas: header.cas.readBigUInt64BE(), key, value: val }
}

/** The error for an answer that no command of ours expects. Holds the server's short text, never a value of ours. */
export function unexpected({ status, value }: Response): Error {
  return new Error(
    `Memcached answered with status 0x${status.toString(16).padStart(2, '0')}: ${value.toString('latin1')}`,
  )
}

const NOTHING = Buffer.alloc(0)
