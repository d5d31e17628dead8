import secureJson from 'secure-json-parse'
import { SessionNotSerializable, SessionTooLarge } from './errors.ts'
import type { Serializer, SessionData } from './options.ts'
import { LOADED } from './snapshot.ts'

/**
 * Session to text and back. The text leaves out what moves with every request (the cookie's expiry, which lives in the
 * record's `expiresAt`), so that an unchanged session gives the same text again.
 */
export class Codec {
  readonly #serializer: Serializer
  readonly #maxBytes: number

  constructor(serializer: Serializer | undefined, maxBytes: number) {
    this.#serializer = serializer ?? json
    this.#maxBytes = maxBytes
  }

  /** @throws SESSION_NOT_SERIALIZABLE */
  encode(session: object): string {
    let plain: SessionData
    try {
      plain = withoutMovingParts(session)
    } catch (error) {
      throw new SessionNotSerializable(`reading it gave a ${nameOf(error)}`)
    }
    return this.encodeData(plain)
  }

  /** For data as `parse` gives it: without an expiry already. Fails like `encode`. */
  encodeData(plain: SessionData): string {
    let text: string
    try {
      text = this.#serializer.stringify(plain)
    } catch {
      throw new SessionNotSerializable(this.#blame(plain))
    }
    if (typeof text !== 'string') throw new SessionNotSerializable('serializer.stringify did not answer a string')
    return text
  }

  /** @throws SESSION_TOO_LARGE */
  checkSize(text: string): void {
    // UTF-8 takes at most three bytes a UTF-16 unit: most sessions need no counting.
    if (text.length * 3 <= this.#maxBytes) return
    const bytes = Buffer.byteLength(text)
    if (bytes > this.#maxBytes) throw new SessionTooLarge(bytes, this.#maxBytes)
  }

  /** The data as it was saved, without any expiry; undefined when the text cannot be read. */
  parse(text: string): SessionData | undefined {
    try {
      const data: unknown = this.#serializer.parse(text)
      if (typeof data !== 'object' || data === null || Array.isArray(data)) return undefined
      // Whatever the serializer: the plugin copies keys by assignment, which would replace the session's prototype.
      if (Object.hasOwn(data, '__proto__')) Reflect.deleteProperty(data, '__proto__')
      return data as SessionData
    } catch {
      return undefined // its message may quote the data
    }
  }

  /** The session for `get`: the data, and the true expiry in the cookie where the cookie has one. */
  decode(text: string, expiresAt: number): SessionData | undefined {
    const session = this.parse(text)
    const cookie = session?.cookie
    if (isObject(cookie) && cookie.expires !== null) cookie.expires = new Date(expiresAt)
    return session
  }

  #blame(plain: SessionData): string {
    for (const key of Object.keys(plain)) {
      try {
        this.#serializer.stringify({ [key]: plain[key] })
      } catch (error) {
        return `the value under the key '${key}' gave a ${nameOf(error)}`
      }
    }
    return 'the serializer threw'
  }
}

const json: Serializer = {
  stringify: JSON.stringify,
  parse: (text) =>
    secureJson.parse(text, {
      protoAction: 'remove',
      constructorAction: 'remove',
    }),
}

/** Never stored: the snapshot, and what `@fastify/session` itself leaves out when it restores a session. */
const omitted = new Set([LOADED, 'cookie', 'sessionId', 'encryptedSessionId', '__proto__'])

function withoutMovingParts(session: object): SessionData {
  const source = session as SessionData
  const plain: SessionData = {}
  if (source.cookie !== undefined) plain.cookie = cookieWithoutExpiry(source.cookie)
  for (const key of Object.keys(source)) {
    if (!omitted.has(key)) plain[key] = source[key]
  }
  return plain
}

/** A cookie without an expiry is stored with `expires: null`; one that has an expiry without the field. */
function cookieWithoutExpiry(cookie: unknown): unknown {
  if (!isObject(cookie)) return cookie
  const data = typeof cookie.toJSON === 'function' ? (cookie.toJSON() as SessionData) : cookie
  const { expires, originalExpires, ...rest } = data
  return expires === undefined || expires === null || expires === false ? { ...rest, expires: null } : rest
}

/** Not its message, which may quote the data. */
function nameOf(error: unknown): string {
  return error instanceof Error ? error.constructor.name : 'thrown value'
}

function isObject(value: unknown): value is SessionData {
  return typeof value === 'object' && value !== null
}
