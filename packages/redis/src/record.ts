import type { SessionRecord, StoredRecord, Version } from '@session-stores/core'

// A record at rest is one Redis string: a header line, a line feed, and the session's text.
//
//   1 0001767225600000 3q2-7w8Xv1aZkPq91 1767139200000 "user 7"\n{"cookie":…}
//   │ │                │                 │             └ userId as JSON; left out when there is none
//   │ │                │                 └ createdAt
//   │ │                └ version
//   │ └ expiresAt: always 16 characters, so that a touch can overwrite it in place
//   └ the layout's own number
//
// Times are in ms since the epoch. The scripts in scripts.ts know this layout too.

const HEADER = /^1 ([-\d]\d{15}) (\S+) (-?\d{1,16})(?: ("[^\n]*"))?\n/

/** `expiresAt` as it stands in the header. */
export function fixedWidth(expiresAt: number): string {
  const sign = expiresAt < 0 ? '-' : ''
  return sign + `${Math.abs(expiresAt)}`.padStart(16 - sign.length, '0')
}

export function encode({ data, createdAt, expiresAt, userId }: SessionRecord, version: Version): string {
  const user = userId === undefined ? '' : ` ${JSON.stringify(userId)}`
  return `1 ${fixedWidth(expiresAt)} ${version} ${createdAt}${user}\n${data}`
}

/**
 * What a value of another layout stands for: a record whose text cannot be read, so that core takes it for no session,
 * reports it and keeps it. No version is like its version, so it is never replaced.
 */
function unreadable(): StoredRecord {
  return { record: { data: '', createdAt: 8.64e15, expiresAt: 8.64e15 }, version: '' }
}

export function decode(value: string): StoredRecord {
  const header = HEADER.exec(value)
  if (header === null) return unreadable()
  const [line, expiresAt, version, createdAt, user] = header as unknown as [string, string, string, string, string?]
  const record: SessionRecord = {
    data: value.slice(line.length),
    createdAt: Number(createdAt),
    expiresAt: Number(expiresAt),
  }
  if (user !== undefined) {
    try {
      record.userId = JSON.parse(user)
    } catch {
      return unreadable() // the parser's error would quote it
    }
  }
  return { record, version }
}
