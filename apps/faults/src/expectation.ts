/** What is right under one fault. All durations are in ms. */
export interface Expectation {
  /**
   * Which requests may be answered with 503. `'some'` and `'changes'` also ask for at least one, lest a fault that does
   * nothing looks like one that is borne well; with `'changes'`, what only reads must be served.
   */
  refuses: 'nothing' | 'changes' | 'perhaps' | 'some'
  /** The longest that a request waits for its answer: the deadline of 2 s, and what a busy machine adds. */
  longestWait: number
  /**
   * The median wait in vain once the outage has lasted for longer than the deadline: then it is known, and nobody waits for
   * that long any more. Infinity where each request meets something else.
   */
  knownOutageWait: number
  /** From the end of the fault to the first request that is served. */
  firstWithin: number
  /** From the end of the fault to the last one that is not. */
  allWithin: number
  /**
   * What the server itself may lose, which no client of it can help: nothing; sessions; or it goes back to an earlier
   * state, in which changes are missing and log-outs have not happened.
   */
  server: 'keeps' | 'forgets' | 'goes back'
  /** One process has a wrong clock: what it takes for over is a 401 there, and must not be gone. */
  wrongClock: boolean
  /** The longest that an application's event loop stands still. */
  loopStall: number
}

export const usual: Expectation = {
  refuses: 'some',
  longestWait: 2600,
  knownOutageWait: 1000,
  firstWithin: 1500,
  allWithin: 3500,
  server: 'keeps',
  wrongClock: false,
  loopStall: 1000,
}
