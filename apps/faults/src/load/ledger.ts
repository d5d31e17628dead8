/** What a user was told and what later turned out otherwise. Times are on the clock of `performance.now()`, in ms. */
export interface Loss {
  /** When the request was sent whose acknowledgement did not hold. */
  since: number
  what: string
}

export type Kind = 'read' | 'change' | 'log in' | 'log out'

/** A request and how it was answered. */
export interface Sample {
  kind: Kind
  /** When it was sent, and when it was answered. */
  begun: number
  ended: number
  /** How long it took, without the time in which this process or the application's stood still. */
  wait: number
  /** The status code; 0 when the connection broke or nothing answered. */
  status: number
  /** The connection broke because the application was told to end, or was killed. */
  appEnded: boolean
}

/** All that the users saw. */
export class Ledger {
  readonly samples: Sample[] = []
  /** Acknowledged changes that were gone later. */
  readonly lostChanges: Loss[] = []
  /** Sessions that somebody was logged in by after an acknowledged log-out. */
  readonly undoneLogOuts: Loss[] = []
  /** 401 for a session that nobody had ended, whether or not it came back. */
  readonly wrong401s: Loss[] = []
  /** Of those, the ones that were still gone at the end. */
  readonly lostSessions: Loss[] = []
  /** Another user's session, half a session, a new id for an old session. */
  readonly wrongAnswers: string[] = []
  /** Session ids and session data in the body of an error. */
  readonly leaks: string[] = []
  /** All session ids there ever were. */
  readonly ids = new Set<string>()
}
