import { accessSync, closeSync, constants, existsSync, openSync, realpathSync, statSync } from 'node:fs'

/** The least time between two looks at the files, in ms. A look takes some 10 µs, and only calls of the store cause one. */
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
 * The files of an open database: the database itself, and the `-wal` and `-shm` files beside it. A process goes on using
 * the files that it opened after they were moved, deleted or replaced, while the next process opens whatever is in their
 * place: the two would not see each other's sessions, and a log-out in one would not hold in the other.
 * See "Unlinking or renaming a database file while in use" in https://sqlite.org/howtocorrupt.html.
 */
export class DatabaseFiles {
  readonly #main: string
  readonly #files: ReadonlyArray<{ path: string; identity: string }>
  #checkedAt = performance.now()

  /** @param path of the open database. A symbolic link is followed at each look: pointing it elsewhere is noticed. */
  constructor(path: string) {
    this.#main = path
    const target = realpathSync(path) // SQLite puts the others beside the file itself
    this.#files = [path, `${target}-wal`, `${target}-shm`].flatMap((each) => {
      const identity = identityOf(each)
      return identity === undefined || identity === 'unknown' ? [] : [{ path: each, identity }]
    })
  }

  /**
   * Looks from time to time whether all are still in their place. Once one is not, looks at each call, so that a file that
   * is put back is used again at once.
   * @throws Error that names the file
   */
  check(): void {
    const now = performance.now()
    if (now - this.#checkedAt < CHECK_INTERVAL) return
    for (const { path, identity } of this.#files) {
      const found = identityOf(path)
      if (found === identity || found === 'unknown') continue
      const what = found === undefined ? 'was moved or deleted' : 'was replaced by another file'
      // SQLite would take a -wal file that is left for the new file's own, and damage that.
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
 * Names a file uniquely as long as any process has it open. Undefined when there is none; 'unknown' when the process has no
 * permission to look, such as after it dropped its privileges.
 */
function identityOf(path: string): string | undefined {
  try {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
    return stats && `${stats.dev}:${stats.ino}`
  } catch {
    return 'unknown'
  }
}
