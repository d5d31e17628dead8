import type { Change, ChangeAnswer, SessionRecord, Version } from '@session-stores/core'
import type { Statement } from './driver.ts'
import type { SQL } from './statements.ts'

/** The changes of one record, as statements in whatever transaction is open. */
export class Changes {
  readonly #statements: Record<keyof typeof SQL, Statement>

  constructor(statements: Record<keyof typeof SQL, Statement>) {
    this.#statements = statements
  }

  make(change: Change): ChangeAnswer {
    switch (change.verb) {
      case 'write':
        this.write(change.key, change.record, change.version)
        return undefined
      case 'replace':
        return this.replace(change.key, change.record, change.version, change.expected)
      case 'touch':
        return this.touch(change.key, change.expiresAt, change.expected)
      case 'remove':
        return this.remove(change.key)
    }
  }

  write(key: string, record: SessionRecord, version: Version): void {
    const { data, userId = null, createdAt, expiresAt } = record
    this.#statements.write.run(key, version, userId, createdAt, expiresAt, expiresAt, data)
  }

  insert(key: string, record: SessionRecord, version: Version): 'inserted' | 'exists' {
    const { data, userId = null, createdAt, expiresAt } = record
    const { insert } = this.#statements
    const { changes } = insert.run(key, version, userId, createdAt, expiresAt, expiresAt, data)
    return changes > 0 || this.#storedVersion(key) === version ? 'inserted' : 'exists'
  }

  replace(
    key: string,
    record: SessionRecord,
    version: Version,
    expected: Version,
  ): 'replaced' | 'conflict' | 'missing' {
    const { data, userId = null, createdAt, expiresAt } = record
    const { replace, replaceIndexed } = this.#statements
    const isReplaced =
      replace.run(version, createdAt, expiresAt, data, key, expected, userId, expiresAt).changes > 0 ||
      replaceIndexed.run(version, createdAt, expiresAt, data, userId, expiresAt, key, expected).changes > 0
    if (isReplaced) return 'replaced'
    // Whatever is there by now is not at `expected`, since no version comes again.
    const stored = this.#storedVersion(key)
    if (stored === undefined) return 'missing'
    return stored === version ? 'replaced' : 'conflict'
  }

  touch(key: string, expiresAt: number, expected: Version): boolean {
    return this.#statements.touch.run(expiresAt, key, expected).changes > 0
  }

  remove(key: string): boolean {
    return this.#statements.remove.run(key).changes > 0
  }

  #storedVersion(key: string): Version | undefined {
    const row = this.#statements.version.get(key) as { version: Version } | undefined | null
    return row?.version
  }
}
