import type { Version } from '@session-stores/core'

/** With it, a version is replaced in one round trip. */
export interface CasToken {
  /** Of the namespace: in another one there is no such item. */
  generation: string
  cas: bigint
}

/** How many versions are remembered at least, and twice as many at most. */
const REMEMBERED = 4096

/**
 * The CAS tokens of the versions seen last. Without its token a replace first has to read. Two halves, the older of which is
 * dropped as a whole when the newer one is full.
 */
export class CasTokens {
  #newer = new Map<Version, CasToken>()
  #older = new Map<Version, CasToken>()

  get(version: Version): CasToken | undefined {
    return this.#newer.get(version) ?? this.#older.get(version)
  }

  set(version: Version, { generation, cas }: CasToken): void {
    if (this.#newer.size >= REMEMBERED) {
      this.#older = this.#newer
      this.#newer = new Map()
    }
    this.#newer.set(version, { generation, cas })
  }
}
