/** How many keys are remembered at least, and twice as many at most: about 2 MB. */
const REMEMBERED = 10_000
/** How long a key is remembered at least, and twice as long at most, in ms. */
const MEMORY = 5 * 60_000

/**
 * The keys of the sessions that this process has loaded, ended, or asked for in vain in the last minutes. A session object
 * of the plugin that is saved under one of them is not new, whatever the application has done to it: `reload()` after a
 * log-out makes an empty one under the old id, and an application may delete every key, the snapshot's too.
 *
 * Two generations, the older of which is dropped as a whole: an entry costs one look-up in a map.
 */
export class RecentKeys {
  /** Whether there was a session when the key was asked for. */
  #newer = new Map<string, boolean>()
  #older = new Map<string, boolean>()
  /** When the newer generation began, on the clock of `performance.now()`. */
  #since = performance.now()

  add(key: string, wasThere: boolean): void {
    this.#newer.set(key, wasThere)
    if (this.#newer.size > REMEMBERED) this.#rotate()
  }

  has(key: string): boolean {
    if (performance.now() - this.#since > MEMORY) this.#rotate()
    return this.#newer.has(key) || this.#older.has(key)
  }

  /** Whether there was a session under this key when it was last asked for. */
  wasThere(key: string): boolean {
    return this.#newer.get(key) ?? this.#older.get(key) ?? false
  }

  #rotate(): void {
    this.#older = this.#newer
    this.#newer = new Map()
    this.#since = performance.now()
  }
}
