import { openSync, readSync } from 'node:fs'

/** ms between two beats */
const BEAT = 20
/** What is shorter, in ms, makes nothing late that would be noticed. */
const SHORTEST_STALL = 50

/**
 * Measures for how long this process stood still, for want of a processor or for work that it did: on a busy machine the
 * time that something takes says little without that.
 */
export class Heartbeat {
  /** The longest since `begin` that the process itself kept its event loop from going on, in ms. */
  longestBlock = 0
  #stalled = 0
  #last = performance.now()
  #lastStarved = starved()
  readonly #timer: NodeJS.Timeout

  constructor() {
    this.#timer = setInterval(() => this.#beat(), BEAT).unref()
  }

  /** All stalls so far, of whatever cause, the present one included, in ms. */
  get stalled(): number {
    return this.#stalled + stallOf(performance.now() - this.#last)
  }

  begin(): void {
    this.#beat()
    this.longestBlock = 0
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #beat(): void {
    const [now, starvedNow] = [performance.now(), starved()]
    this.#stalled += stallOf(now - this.#last)
    const blocked = now - this.#last - BEAT - (starvedNow - this.#lastStarved)
    this.longestBlock = Math.max(this.longestBlock, blocked)
    this.#last = now
    this.#lastStarved = starvedNow
  }
}

function stallOf(sinceLastBeat: number): number {
  const late = sinceLastBeat - BEAT
  return late > SHORTEST_STALL ? late : 0
}

const statistics = process.platform === 'linux' ? openSync('/proc/self/schedstat', 'r') : undefined
const buffer = Buffer.alloc(100)

/** For how long this process has been ready to run and got no processor, in ms; 0 where the system does not tell. */
function starved(): number {
  if (statistics === undefined) return 0
  const length = readSync(statistics, buffer, 0, buffer.length, 0)
  return Number(buffer.toString('latin1', 0, length).split(' ')[1]) / 1e6
}
