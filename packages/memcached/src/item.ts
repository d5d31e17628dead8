import { type Call, recordToText, type SessionRecord, SessionTooLarge, type Version } from '@session-stores/core'
import { exptimeFor } from './expiry.ts'
import type { Namespace } from './namespace.ts'
import { type Answer, Status, unexpected } from './protocol.ts'

/** What the server needs for an item besides key and value: its header, the cas and some terminators, generously. */
export const ITEM_OVERHEAD = 80

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
  const limit = (await namespace.itemBytes(call)) - namespace.itemKeyBytes(key) - ITEM_OVERHEAD
  if (Buffer.byteLength(item.text) > limit) throw tooLarge(item, limit)
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
