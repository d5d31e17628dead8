import { hash } from 'node:crypto'

/**
 * The key a session is stored under: SHA-256 of its id, in base64url (43 characters). A stolen database so holds no
 * usable id, and since ids are long random strings, a plain hash cannot be reversed by guessing.
 * @throws TypeError when the id is not a string, or empty.
 */
export function keyOf(sessionId: string): string {
  if (typeof sessionId !== 'string' || sessionId === '')
    throw new TypeError('the session id must be a non-empty string')
  return hash('sha256', sessionId, 'base64url')
}
