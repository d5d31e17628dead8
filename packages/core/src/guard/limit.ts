/** By when an operation ends: the same for all its steps, each of them a call to the backend or a turn in a queue. */
export interface Limit {
  /** On the clock of `performance.now()`. Moves on by the time that the event loop was blocked during a step. */
  deadline: number
  /** Filled in: how far it has moved on, in ms. */
  blocked?: number | undefined
  /** Filled in: how many calls went to the server together with one of this operation. */
  batchSize?: number | undefined
}

/** Moves the deadline on; steps that go on side by side do so once. */
export function moveOn(limit: Limit, deadline: number): void {
  if (deadline <= limit.deadline) return
  limit.blocked = (limit.blocked ?? 0) + deadline - limit.deadline
  limit.deadline = deadline
}
