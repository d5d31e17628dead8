import type { Awaitable, Backend } from '../backend.ts'
import { type Call, TryAgain, type Verb } from '../call.ts'

const VERBS: readonly Verb[] = [
  'read',
  'write',
  'replace',
  'touch',
  'remove',
  'insert',
  'ping',
  'prune',
  'count',
  'scan',
  'clear',
  'findByUser',
  'removeOfUser',
  'check',
]

/** A call on its way from a store to the backend. */
export interface Passage {
  verb: Verb
  /** The verb's arguments but the last, the call. */
  args: readonly unknown[]
  /** 1 for the first attempt. */
  attempt: number
  /** Asks the backend. */
  pass(): Awaitable<unknown>
}

/** A layer over a backend, with the same verbs: every call goes through `handle`, which answers in the backend's place. */
export function layer(handle: (passage: Passage) => Awaitable<unknown>): (backend: Backend) => Backend {
  return (backend) => {
    const below = backend as unknown as Record<Verb, (...args: unknown[]) => Awaitable<unknown>>
    const verbs = VERBS.filter((verb) => typeof below[verb] === 'function').map((verb) => [
      verb,
      (...given: unknown[]) => {
        const { attempt } = given.at(-1) as Call
        return handle({ verb, args: given.slice(0, -1), attempt, pass: () => below[verb](...given) })
      },
    ])
    return { name: backend.name, ...Object.fromEntries(verbs) } as Backend
  }
}

/**
 * Each call takes effect, its answer is lost with the connection, and so it is sent again.
 * @param meanwhile what happens in between
 */
export function losingAnswers(meanwhile?: () => Promise<unknown>): (backend: Backend) => Backend {
  return layer(async ({ attempt, pass }) => {
    const answer = await pass()
    if (attempt > 1) return answer
    await meanwhile?.()
    throw new TryAgain(new Error('the connection was closed'))
  })
}

/** What a server in trouble does to a call. */
export type Trouble =
  | 'hangs' // it gets to the call when the trouble is over
  | 'answers late' // the call takes effect, and is answered when the trouble is over
  | 'refuses' // an error at once
  | 'refuses for now' // an error at once, after which the call may be sent again

/** A server that gets into trouble, and out of it. */
export class TroubledServer {
  #trouble: Trouble | undefined
  #waiting: Array<() => void> = []

  /** Belongs between a store and its backend. */
  readonly layer = layer(({ pass }) => (this.#trouble === undefined ? pass() : this.#suffer(this.#trouble, pass)))

  begin(trouble: Trouble): void {
    this.#trouble = trouble
  }

  end(): void {
    this.#trouble = undefined
    for (const resume of this.#waiting.splice(0)) resume()
  }

  async #suffer(trouble: Trouble, pass: () => Awaitable<unknown>): Promise<unknown> {
    const refusal = Object.assign(new Error('the server refuses'), { code: 'ECONNREFUSED' })
    if (trouble === 'refuses') throw refusal
    if (trouble === 'refuses for now') throw new TryAgain(refusal)
    const ended = new Promise<void>((resolve) => this.#waiting.push(resolve))
    if (trouble === 'hangs') return ended.then(pass)
    const answer = await pass()
    await ended
    return answer
  }
}
