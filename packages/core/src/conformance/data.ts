import assert from 'node:assert/strict'
import type { SessionRecord, StoredRecord, Version } from '../backend.ts'
import { keyOf } from '../key.ts'
import type { SessionStore } from '../store.ts'
import type { Clock } from './case.ts'
import type { Records } from './records.ts'

/** The lifetime of the sessions in these cases, in ms: longer than any case takes, so that no server collects one. */
export const LIFETIME = 120_000

/** Records enough for several batches of most stores. */
export const MANY = 250

export interface TestSession {
  cookie: { expires: Date | null; originalMaxAge: number | null }
  [key: string]: unknown
}

/** A new session as the plugin makes it, with a cookie that ends after `maxAge` ms. */
export function newSession(clock: Clock, data: object = {}, maxAge = LIFETIME): TestSession {
  return {
    cookie: { expires: new Date(clock.ms + maxAge), originalMaxAge: maxAge },
    ...data,
  }
}

/**
 * Loads a session as a request does: the plugin moves the expiry of a cookie with a `maxAge` at once, and copies what
 * `get` answered, enumerable string keys only, into an object of its own.
 */
export async function load(store: SessionStore, id: string, clock: Clock): Promise<TestSession> {
  const found = (await store.get(id)) as TestSession | null
  assert.ok(found, 'the session is there')
  const session = { ...found, cookie: { ...found.cookie } }
  if (session.cookie.originalMaxAge) session.cookie.expires = new Date(clock.ms + session.cookie.originalMaxAge)
  return session
}

/** What the application has put into the session with this id. */
export async function dataOf(store: SessionStore, id: string): Promise<Record<string, unknown> | null> {
  const found = await store.get(id)
  if (found === null) return null
  const { cookie, ...rest } = JSON.parse(JSON.stringify(found))
  return rest
}

/** A storage key as core makes them: a backend may keep the 32 bytes that it stands for. */
export function storageKey(n = 0): string {
  return keyOf(`record ${n}`)
}

export function newRecord(clock: Clock, data = '{"a":1}', lifetime = LIFETIME): SessionRecord {
  return { data, createdAt: clock.ms, expiresAt: clock.ms + lifetime }
}

/** Writes `MANY` records, under `storageKey(0)` and so on. */
export async function writeMany(records: Records, clock: Clock, lifetime = LIFETIME): Promise<void> {
  for (let n = 0; n < MANY; n += 1) await records.write(storageKey(n), newRecord(clock, `{"n":${n}}`, lifetime))
}

/** The record under this key, which must be there. */
export async function stored(records: Records, key: string): Promise<StoredRecord> {
  const found = await records.read(key)
  assert.ok(found, 'the record is there')
  return found
}

export function replaced(answer: Version | 'conflict' | 'missing'): Version {
  assert.notEqual(answer, 'conflict')
  assert.notEqual(answer, 'missing')
  return answer
}
