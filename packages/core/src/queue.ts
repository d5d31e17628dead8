import type { StoredRecord } from './backend.ts'

/** The writers of one session that are under way in this process. */
export class Line {
  /** What the server holds, as the last of these writers left it: the next one need not ask. */
  latest: StoredRecord | undefined
  readonly waiting: Array<() => void> = []
}

/**
 * Lets the writers of one session take turns inside this process, in order of arrival. The server would keep them from
 * overwriting each other, but each round of that costs every loser a re-read.
 */
export class WriterQueue {
  readonly #lines = new Map<string, Line>()

  /**
   * Runs `task` when its turn comes.
   * @param wait bounds the waiting: when it rejects, so does this, and the turn is passed on when it comes
   */
  async run<T>(
    key: string,
    wait: (turn: Promise<void>) => Promise<void>,
    task: (line: Line) => Promise<T>,
  ): Promise<T> {
    let line = this.#lines.get(key)
    if (line === undefined) {
      line = new Line()
      this.#lines.set(key, line)
    } else {
      const { waiting } = line
      const turn = new Promise<void>((resolve) => waiting.push(resolve))
      try {
        await wait(turn)
      } catch (error) {
        void turn.then(() => this.#leave(key))
        throw error
      }
    }
    try {
      return await task(line)
    } finally {
      this.#leave(key)
    }
  }

  #leave(key: string): void {
    const next = this.#lines.get(key)?.waiting.shift()
    if (next === undefined) this.#lines.delete(key)
    else next()
  }
}
