import secureJson from 'secure-json-parse'
import { nameOf, SessionNotSerializable, SessionTooLarge } from './errors.ts'
import { restoreExpiry } from './face/session.ts'
import type { Serializer, SessionData } from './options.ts'

/** Plain session data to text and back, within the size limit. */
export class Codec {
  readonly #serializer: Serializer
  readonly #maxBytes: number

  constructor(serializer: Serializer | undefined, maxBytes: number) {
    this.#serializer = serializer ?? json
    this.#maxBytes = maxBytes
  }

  /**
   * @param plain a session without what moves with every request
   * @throws SESSION_NOT_SERIALIZABLE
   */
  encode(plain: SessionData): string {
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

  /** The session as the application is to see it; undefined when the text cannot be read. */
  decode(text: string, expiresAt: number): SessionData | undefined {
    const session = this.parse(text)
    if (session) restoreExpiry(session, expiresAt)
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
