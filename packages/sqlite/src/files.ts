import { accessSync, closeSync, constants, existsSync, openSync, realpathSync, statSync } from 'node:fs'

/** How often the files in use are looked at, in ms, as long as the store is in use. A look takes some 10 µs. */
const CHECK_INTERVAL = 1000

/** Makes the file where there is none, for its owner only, and sees to it that the store may write to one that is there. */
export function createPrivate(filename: string): void {
  try {
    closeSync(openSync(filename, 'ax', 0o600))
    return
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  // SQLite would open it for reading only, and every save would fail. Opening it to find out, and closing it again, would
  // drop the locks that this process may have on it.
  if (existsSync(filename)) accessSync(filename, constants.R_OK | constants.W_OK)
  // A symbolic link to a file that is not there yet
  else closeSync(openSync(filename, 'a', 0o600))
}

/**
 * The files of an open database: the database itself, and the `-wal` and `-shm` files beside it. SQLite keeps using them
 * when they were moved, deleted or replaced, while the next process opens what is at their place then: the two would not
 * see each other's sessions, and a log-out in one would not hold in the other.
 */
export class DatabaseFiles {
  readonly #main: string
  readonly #files: ReadonlyArray<{ path: string; identity: string }>
  #checkedAt = performance.now()

  /** @param path of the database, which is open: where it is a symbolic link, what that points to from now on counts */
  constructor(path: string) {
    this.#main = path
    const target = realpathSync(path) // SQLite puts the others beside the file itself
    this.#files = [path, `${target}-wal`, `${target}-shm`].flatMap((each) => {
      const identity = identityOf(each)
      return identity === undefined || identity === 'unknown' ? [] : [{ path: each, identity }]
    })
  }

  /**
   * Looks whether all are still there, at most once in a while; if not, at each call, so that a file that was put back
   * serves at once.
   * @throws Error that names the file
   */
  check(): void {
    const now = performance.now()
    if (now - this.#checkedAt < CHECK_INTERVAL) return
    for (const { path, identity } of this.#files) {
      const found = identityOf(path)
      if (found === identity || found === 'unknown') continue
      const what = found === undefined ? 'was moved or deleted' : 'was replaced by another file'
      // The -wal file that is left would be taken for the new file's own, and spoil it.
      const tidy = path === this.#main ? ', delete its -wal and -shm files' : ''
      throw new Error(
        `${path} ${what} while the sessions were in use: ` +
          `put it back, or stop every process that uses it${tidy}, and start again`,
      )
    }
    this.#checkedAt = now
  }
}

/**
 * What tells a file from any other as long as it is open somewhere; undefined when there is none, and 'unknown' when the
 * process may not see that, as after giving up its rights.
 */
function identityOf(path: string): string | undefined {
  try {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
    return stats && `${stats.dev}:${stats.ino}`
  } catch {
    return 'unknown'
  }
}
