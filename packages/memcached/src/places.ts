import type { Version } from '@session-stores/core'

/** Where a version was seen: the means to replace it in one round trip. */
export interface Place {
  generation: string
  cas: bigint
}

/** How many versions are remembered at least, and twice as many at most. */
const REMEMBERED = 4096

/**
 * The places of the versions seen last. Only a help: without it a replace first has to read. Two halves, the older of
 * which is dropped as a whole when the newer one is full.
 */
export class Places {
  #newer = new Map<Version, Place>()
  #older = new Map<Version, Place>()

  get(version: Version): Place | undefined {
    return this.#newer.get(version) ?? this.#older.get(version)
  }

  set(version: Version, { generation, cas }: Place): void {
    if (this.#newer.size >= REMEMBERED) {
      this.#older = this.#newer
      this.#newer = new Map()
    }
    this.#newer.set(version, { generation, cas })
  }
}
