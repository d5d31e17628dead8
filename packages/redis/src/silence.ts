/** A connection on which nothing comes for this long, though an answer is due, is taken for dead. In ms. */
export const SOCKET_TIMEOUT = 1500
/** How often it is looked whether answers come, in ms. */
const TICK = 100

/** As much of ioredis' `Redis` as is needed here. */
interface Timed {
  readonly options: { socketTimeout?: number | undefined }
  ping(): Promise<unknown>
}

/**
 * Has the driver time a connection only while answers do not come: its `socketTimeout` sets and clears a timer for each
 * command that is alone, which is a quarter of what such a command takes. Where nothing was answered between two looks, the
 * driver's timer is switched on for what is left, and started by a PING. It is switched off when all is answered: while
 * something is due, the driver would take the missing time for none.
 */
export class Silence {
  readonly #server: Timed
  #due = 0
  #isTimed = true
  #wasAnswered = false
  #timer: NodeJS.Timeout | undefined

  /** @param server made with the option `socketTimeout` */
  constructor(server: Timed) {
    this.#server = server
  }

  onSent(): void {
    this.#due += 1
    this.#timer ??= setInterval(() => this.#look(), TICK).unref()
  }

  /** Also for what failed. */
  onAnswered(): void {
    this.#due -= 1
    this.#wasAnswered = true
    if (this.#due > 0 || !this.#isTimed) return
    this.#isTimed = false
    this.#server.options.socketTimeout = undefined
  }

  #look(): void {
    if (this.#due === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    } else if (!this.#wasAnswered && !this.#isTimed) {
      this.#isTimed = true
      this.#server.options.socketTimeout = SOCKET_TIMEOUT - 2 * TICK
      this.onSent()
      const onAnswered = () => this.onAnswered()
      this.#server.ping().then(onAnswered, onAnswered)
    }
    this.#wasAnswered = false
  }
}
