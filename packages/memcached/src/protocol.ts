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
  logIn: 0x21,
} as const

export const Status = {
  ok: 0x00,
  notFound: 0x01,
  /** add: the key is there; with a cas: the item has another one. */
  exists: 0x02,
  tooLarge: 0x03,
  /** Older servers answer it to an add or replace whose condition does not hold. */
  notStored: 0x05,
  /** The log-in was refused, or there was none. */
  notLoggedIn: 0x20,
} as const

const HEADER_BYTES = 24
const REQUEST = 0x80
const RESPONSE = 0x81

export interface Command {
  opcode: number
  /** At most 250 bytes: for a longer one the server closes the connection. */
  key?: string
  value?: string
  /** Seconds as the server reads them: see `expiry.ts`. Only for commands that store. */
  exptime?: number
  /** Store only if the item still has this one; 0 for in any case. */
  cas?: bigint
}

export interface Answer {
  /** The number that its command was sent with. */
  opaque: number
  /** Which of the commands that were sent together it answers, from 0. */
  command: number
  status: number
  cas: bigint
  /** Only in answers to `stat`. */
  key: string
  value: string
}

/** The commands in one piece, with opaques that count up from this one. */
export function encode(commands: readonly Command[], opaque: number): Buffer {
  let bytes = 0
  for (const command of commands) bytes += bytesOf(command)
  const packet = Buffer.allocUnsafe(bytes)
  let at = 0
  let next = opaque
  for (const command of commands) {
    at = write(packet, at, command, next)
    next += 1
  }
  return packet
}

function bytesOf({ key = '', value = '', exptime }: Command): number {
  return HEADER_BYTES + (exptime === undefined ? 0 : 8) + Buffer.byteLength(key) + Buffer.byteLength(value)
}

/** Answers where the next command begins. */
function write(packet: Buffer, begin: number, command: Command, opaque: number): number {
  const { opcode, key = '', value = '', exptime, cas = 0n } = command
  let at = begin + HEADER_BYTES
  // The extras of a command that stores: 4 bytes of flags, which are always 0, and the exptime.
  if (exptime !== undefined) at = packet.writeUInt32BE(exptime, packet.writeUInt32BE(0, at))
  const keyAt = at
  at += packet.write(key, at)
  const keyBytes = at - keyAt
  at += packet.write(value, at)
  packet.writeUInt8(REQUEST, begin)
  packet.writeUInt8(opcode, begin + 1)
  packet.writeUInt16BE(keyBytes, begin + 2)
  packet.writeUInt32BE(exptime === undefined ? 0 : 0x0800_0000, begin + 4) // bytes of the extras, type of the data
  packet.writeUInt32BE(at - begin - HEADER_BYTES, begin + 8)
  packet.writeUInt32BE(opaque, begin + 12)
  packet.writeBigUInt64BE(cas, begin + 16)
  return at
}

/** Finds the answers in what a connection receives, however it is cut into pieces. */
export class AnswerReader {
  #pieces: Buffer[] = []
  #bytes = 0
  /** So many bytes make the next answer, or at least its header. */
  #needed = 1

  /**
   * The answers that are complete with this piece.
   * @throws Error when it is not the binary protocol
   */
  read(piece: Buffer): Answer[] {
    this.#pieces.push(piece)
    this.#bytes += piece.length
    if (this.#bytes < this.#needed) return []
    const received = this.#pieces.length === 1 ? piece : Buffer.concat(this.#pieces)
    const answers: Answer[] = []
    let at = 0
    for (;;) {
      this.#needed = neededAt(received, at)
      if (received.length - at < this.#needed) break
      answers.push(answerAt(received, at))
      at += this.#needed
    }
    this.#bytes = received.length - at
    this.#pieces = this.#bytes === 0 ? [] : [received.subarray(at)]
    return answers
  }
}

function neededAt(received: Buffer, at: number): number {
  const left = received.length - at
  if (left > 0 && received[at] !== RESPONSE) {
    throw new Error('it does not speak the binary protocol, or takes no more connections')
  }
  return left < HEADER_BYTES ? HEADER_BYTES : HEADER_BYTES + received.readUInt32BE(at + 8)
}

function answerAt(received: Buffer, at: number): Answer {
  const keyAt = at + HEADER_BYTES + received.readUInt8(at + 4)
  const valueAt = keyAt + received.readUInt16BE(at + 2)
  return {
    opaque: received.readUInt32BE(at + 12),
    command: 0,
    status: received.readUInt16BE(at + 6),
    cas: received.readBigUInt64BE(at + 16),
    key: valueAt === keyAt ? '' : received.toString('latin1', keyAt, valueAt),
    value: received.toString('utf8', valueAt, at + HEADER_BYTES + received.readUInt32BE(at + 8)),
  }
}

/** Whether the condition of a command that stores did not hold. */
export function isRefused({ status }: Answer): boolean {
  return status === Status.exists || status === Status.notFound || status === Status.notStored
}

/** The error for an answer that no command of ours expects. Holds the server's short text, never a value of ours. */
export function unexpected({ status, value }: Answer): Error {
  return new Error(`Memcached answered with status 0x${status.toString(16).padStart(2, '0')}: ${value}`)
}
