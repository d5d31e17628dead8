import { createSecretKey, hash, KeyObject } from 'node:crypto'

/** A key for AES-256: 32 bytes, as they are, or as text in base64, base64url or hex, or a secret `KeyObject`. */
export type EncryptionKeyInput = string | Uint8Array | KeyObject

export interface EncryptionKey {
  key: KeyObject
  /** By which a sealed text names its key; tells nothing of it. */
  hint: string
}

const KEY_BYTES = 32
const ADVICE = 'make one with: openssl rand -base64 32'

/** @throws TypeError that says what is wrong, and shows nothing of the keys */
export function encryptionKeysFrom(option: unknown): EncryptionKey[] | undefined {
  if (option === undefined) return undefined
  if (!Array.isArray(option) || option.length === 0) {
    throw new TypeError(`encryptionKeys must be a list of keys, the newest first: ${ADVICE}`)
  }
  return option.map((each, n) => {
    const bytes = bytesOf(each)
    if (bytes?.length !== KEY_BYTES) {
      const got = bytes ? `${bytes.length} bytes` : 'something else'
      throw new TypeError(
        `encryptionKeys[${n}] must be ${KEY_BYTES} bytes: a Buffer, a KeyObject, or text in base64, base64url or hex; got ${got}. ${ADVICE}`,
      )
    }
    return { key: createSecretKey(bytes), hint: hash('sha256', bytes, 'base64url').slice(0, 8) }
  })
}

function bytesOf(key: unknown): Buffer | undefined {
  if (key instanceof Uint8Array) return Buffer.from(key)
  if (key instanceof KeyObject) return key.type === 'secret' ? key.export() : undefined
  if (typeof key !== 'string') return undefined
  const text = key.trim() // of a file that ends with a line feed
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  return /^[\w+/-]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined
}
