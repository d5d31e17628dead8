/**
 * How long one request has waited for the server. Its load and its saves share one timeout: the plugin saves a second time
 * while it sends the error of the first, and a request that waited for its load should not wait as long again for its save.
 */
export class Waited {
  #ms = 0
  /** When it last waited, on the clock of `performance.now()`. */
  #until = 0

  /** @param ms how long the request has waited already */
  constructor(ms = 0) {
    if (ms > 0) this.add(ms)
  }

  add(ms: number): void {
    this.#ms += ms
    this.#until = performance.now()
  }

  /** In ms. What is longer ago than `timeout` counts no more: a session object may be kept, as on a websocket. */
  within(timeout: number): number {
    return this.#ms > 0 && performance.now() - this.#until > timeout ? 0 : this.#ms
  }
}
