import { type Call, recordToText, type SessionRecord, SessionTooLarge, type Version } from '@session-stores/core'
import { exptimeFor } from './expiry.ts'
import type { Namespace } from './namespace.ts'
import { type Answer, Status, unexpected } from './protocol.ts'

/** A record as it is to be stored. */
export interface Item {
  record: SessionRecord
  version: Version
  text: string
  exptime: number
}

export function itemOf(record: SessionRecord, version: Version, { now }: Call): Item {
  return { record, version, text: recordToText(record, version), exptime: exptimeFor(record.expiresAt, now) }
}

/** @throws SESSION_TOO_LARGE before the server sees the record */
export async function checkSize(namespace: Namespace, key: string, item: Item, call: Call): Promise<void> {
  const limit = namespace.textBytes(key) ?? (await namespace.askTextBytes(key, call))
  const error = tooLargeFor(item, limit)
  if (error) throw error
}

/** @param limit in bytes of the item's text */
export function tooLargeFor(item: Item, limit: number): Error | undefined {
  // UTF-8 takes at most three bytes a UTF-16 unit: most items need no counting.
  const fits = item.text.length * 3 <= limit || Buffer.byteLength(item.text) <= limit
  return fits ? undefined : tooLarge(item, limit)
}

/** The error for an answer to a command that was to store this. */
export function failure(answer: Answer, item: Item): Error {
  // Only when the server was restarted with a smaller limit since it was asked.
  return answer.status === Status.tooLarge ? tooLarge(item, Buffer.byteLength(item.text) - 1) : unexpected(answer)
}

/** In bytes of the session, as for `maxBytes`, not of the item. */
function tooLarge({ record, text }: Item, limit: number): Error {
  const bytes = Buffer.byteLength(record.data)
  return new SessionTooLarge(bytes, Math.max(limit - (Buffer.byteLength(text) - bytes), 0))
}
