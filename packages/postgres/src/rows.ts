import type { SessionRecord } from '@session-stores/core'
import type { Values } from './driver.ts'
import { fromColumn, toColumn } from './json.ts'

/** The key is a SHA-256 in base64url: 32 bytes in the table, sent as the text of a bytea. */
export function idOf(key: string): string {
  return `\\x${Buffer.from(key, 'base64url').toString('hex')}`
}

export function keyOf(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64url')
}

/** In the order of the columns: data, user_id, created_at, expires_at. */
export function valuesOf({ data, userId, createdAt, expiresAt }: SessionRecord): Values {
  return [toColumn(data), userId ?? null, `${createdAt}`, `${expiresAt}`]
}

export function recordOf([data, userId, createdAt, expiresAt]: Values): SessionRecord {
  return {
    data: fromColumn(data as string),
    createdAt: Number(createdAt),
    expiresAt: Number(expiresAt),
    ...(userId !== null && userId !== undefined && { userId }),
  }
}
