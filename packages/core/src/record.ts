import type { SessionRecord, StoredRecord, Version } from './backend.ts'
import { SessionLayoutUnknown } from './errors.ts'

// A record as one text, for servers that keep one value under a key:
//
//   1 0001767225600000 3q2-7w8Xv1aZkPq900000001 1767139200000 "user 7"\n{"cookie":…}
//   │ │                │                        │             └ userId as JSON; left out when there is none
//   │ │                │                        └ createdAt
//   │ │                └ version: always 24 characters
//   │ └ expiresAt: always 16 characters, so that a touch can overwrite it in place
//   └ the layout's own number
//
// Times are in ms since the epoch. Servers that compare and set by a script know this layout too.

const HEADER = /^1 ([-\d]\d{15}) ([\w-]{24}) (-?\d{1,16})(?: ("[^\n]*"))?\n/
const EXPIRES_AT = 2
const EXPIRES_AT_WIDTH = 16

/** `expiresAt` in its fixed width, as it stands in the text. */
export function expiryField(expiresAt: number): string {
  const sign = expiresAt < 0 ? '-' : ''
  return sign + `${Math.abs(expiresAt)}`.padStart(EXPIRES_AT_WIDTH - sign.length, '0')
}

/** The text of a record under a version. */
export function recordToText({ data, createdAt, expiresAt, userId }: SessionRecord, version: Version): string {
  const user = userId === undefined ? '' : ` ${JSON.stringify(userId)}`
  return `1 ${expiryField(expiresAt)} ${version} ${createdAt}${user}\n${data}`
}

/**
 * The record that a text of `recordToText` holds; `'unreadable'` for any other text.
 * @throws SESSION_LAYOUT_UNKNOWN when it is one of another release's layout
 */
export function recordFromText(text: string): StoredRecord | 'unreadable' {
  const header = HEADER.exec(text)
  if (header === null) {
    const [, layout] = /^(\d{1,4}) [-\d]\d{15} /.exec(text) ?? []
    if (layout !== undefined && layout !== '1') throw new SessionLayoutUnknown(layout)
    return 'unreadable'
  }
  const [line, expiresAt, version, createdAt, user] = header as unknown as [string, string, string, string, string?]
  const record: SessionRecord = {
    data: text.slice(line.length),
    createdAt: Number(createdAt),
    expiresAt: Number(expiresAt),
  }
  if (user !== undefined) {
    try {
      record.userId = JSON.parse(user)
    } catch {
      return 'unreadable' // the parser's error would quote it
    }
  }
  return { record, version }
}

/** The same text with another expiry; nothing else in it is read or changed. */
export function withExpiry(text: string, expiresAt: number): string {
  return text.slice(0, EXPIRES_AT) + expiryField(expiresAt) + text.slice(EXPIRES_AT + EXPIRES_AT_WIDTH)
}
