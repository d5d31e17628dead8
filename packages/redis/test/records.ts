import { type GuardedBackend, newVersion, type SessionRecord, type Version } from '@session-stores/core'

/** A key as the backend gets it: a hashed id. */
export const key = 'k'.repeat(43)

/** @param lifetime in ms, from now */
export function record(data: string, lifetime = 60_000): SessionRecord {
  return { data, createdAt: 1, expiresAt: Date.now() + lifetime }
}

/** @returns the version under which it was written */
export async function write(backend: GuardedBackend, value: SessionRecord): Promise<Version> {
  const version = newVersion()
  await backend.write(key, value, version)
  return version
}

/** @returns the new version, or why there is none */
export async function replace(backend: GuardedBackend, value: SessionRecord, expected: Version) {
  const version = newVersion()
  const answer = await backend.replace(key, value, version, expected)
  return answer === 'replaced' ? version : answer
}
