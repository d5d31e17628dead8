/** How long an entry counts as listed, in ms: a fraction of how much longer it lives than its session. */
const MAX_AGE = 60_000
/** So many entries are remembered at most, twice. */
const MAX_ENTRIES = 10_000

/**
 * The entries of users' indexes that this process has just listed, in a Cluster: a session that is changed again and again need not
 * be listed each time, which is a command of its own there.
 */
export class RecentlyListed {
  /** When the entry ends, on performance.now(). */
  #young = new Map<string, number>()
  #old = new Map<string, number>()
  #begun = performance.now()

  /** @param ttl how long the session's key is to live, in ms */
  has(entry: string, ttl: number): boolean {
    this.#forget()
    const end = this.#young.get(entry) ?? this.#old.get(entry)
    return end !== undefined && performance.now() + ttl <= end + MAX_AGE
  }

  add(entry: string, ttl: number): void {
    this.#forget()
    this.#young.set(entry, performance.now() + ttl)
  }

  #forget(): void {
    const age = performance.now() - this.#begun
    if (age < MAX_AGE / 2 && this.#young.size < MAX_ENTRIES) return
    this.#old = age < MAX_AGE ? this.#young : new Map()
    this.#young = new Map()
    this.#begun = performance.now()
  }
}
