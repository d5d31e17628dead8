import {
  type Call,
  type Change,
  type ChangeAnswer,
  recordFromText,
  type StoredRecord,
  withExpiry,
} from '@session-stores/core'
import type { CasTokens } from './cas-tokens.ts'
import { exptimeFor } from './expiry.ts'
import { failure, type Item, itemOf, tooLargeFor } from './item.ts'
import type { ItemAnswer, Namespace } from './namespace.ts'
import { type Command, isRefused, Opcode, Status, unexpected } from './protocol.ts'

/** What became of one change: its answer, or what is to be sent next; undefined where its lone verb is to see to it. */
type Outcome = { answer: ChangeAnswer | Error } | Step | undefined

/** A command for one of many changes, and what its answer means. */
interface Step {
  place: number
  key: string
  command: Command
  onAnswer(answer: ItemAnswer): Outcome
}

const GET: Command = { opcode: Opcode.get }
const DELETE: Command = { opcode: Opcode.delete }

/** Many records of one server, in one packet. */
export async function readMany(
  namespace: Namespace,
  keys: string[],
  casTokens: CasTokens,
  call: Call,
): Promise<Array<StoredRecord | 'unreadable' | undefined | Error>> {
  const found = await namespace.findMany(keys, call)
  return found.map((each) => {
    if (each === undefined || each instanceof Error) return each
    const stored = readable(each.text)
    if (stored !== 'unreadable' && !(stored instanceof Error)) casTokens.set(stored.version, each)
    return stored
  })
}

/**
 * Many changes on one server: the first command of each in one packet, and the second of those that need two in another.
 * What is not settled by then is left to the lone verbs: mostly what was changed by somebody else meanwhile.
 * @param lone makes one change
 */
export async function changeMany(
  namespace: Namespace,
  changes: Change[],
  casTokens: CasTokens,
  call: Call,
  lone: (change: Change) => Promise<ChangeAnswer>,
): Promise<Array<ChangeAnswer | Error>> {
  const answers: Array<ChangeAnswer | Error> = new Array(changes.length)
  for (const places of roundsOf(changes)) {
    const left = await new Round(namespace, changes, casTokens, call).make(places, answers)
    await Promise.all(
      left.map(async (place) => {
        answers[place] = await lone(changes[place] as Change).catch((error: Error) => error)
      }),
    )
  }
  return answers
}

/** The places of the changes; in each round a key comes once. */
function roundsOf(changes: Change[]): number[][] {
  const rounds: number[][] = []
  const timesSeen = new Map<string, number>()
  for (const [place, { key }] of changes.entries()) {
    const n = timesSeen.get(key) ?? 0
    timesSeen.set(key, n + 1)
    rounds[n] ??= []
    rounds[n].push(place)
  }
  return rounds
}

/** Changes of different keys, all in the generation that was known when they began. */
class Round {
  readonly #namespace: Namespace
  readonly #generation: string | undefined
  readonly #changes: Change[]
  readonly #casTokens: CasTokens
  readonly #call: Call

  constructor(namespace: Namespace, changes: Change[], casTokens: CasTokens, call: Call) {
    this.#namespace = namespace
    this.#generation = namespace.generation
    this.#changes = changes
    this.#casTokens = casTokens
    this.#call = call
  }

  /** Fills in the answers, and returns the places of the changes that are left. */
  async make(places: number[], answers: Array<ChangeAnswer | Error>): Promise<number[]> {
    const generation = this.#generation
    if (generation === undefined) return places
    const left: number[] = []
    let outcomes = places.map((place) => this.#begin(place))
    let at = places
    for (;;) {
      const steps: Step[] = []
      for (const [n, outcome] of outcomes.entries()) {
        if (outcome === undefined) left.push(at[n] as number)
        else if ('command' in outcome) steps.push(outcome)
        else answers[at[n] as number] = outcome.answer
      }
      if (steps.length === 0) return left
      // What was settled by then stays so when the connection breaks.
      const came = await this.#namespace.runMany(generation, steps, this.#call).catch((error: Error) => error)
      at = steps.map(({ place }) => place)
      outcomes =
        came instanceof Error
          ? steps.map(() => ({ answer: came }))
          : steps.map((step, n) => came && step.onAnswer(came[n] as ItemAnswer))
    }
  }

  /** Undefined where the lone verb has to find something out first. */
  #begin(place: number): Outcome {
    const change = this.#changes[place] as Change
    const { verb, key } = change
    if (verb === 'remove') return { place, key, command: DELETE, onAnswer: afterDelete }
    if (verb === 'touch') {
      return { place, key, command: GET, onAnswer: (answer) => this.#afterFind(place, change, answer) }
    }
    const limit = this.#namespace.textBytes(key)
    const token = verb === 'replace' ? this.#casTokens.get(change.expected) : undefined
    if (limit === undefined || (verb === 'replace' && token?.generation !== this.#generation)) return undefined
    const item = itemOf(change.record, change.version, this.#call)
    const error = tooLargeFor(item, limit)
    if (error) return { answer: error }
    return this.#storing(place, key, item, token?.cas, verb === 'replace' ? 'replaced' : undefined)
  }

  #afterFind(
    place: number,
    { key, expected, expiresAt }: Extract<Change, { verb: 'touch' }>,
    found: ItemAnswer,
  ): Outcome {
    if (found.status === Status.notFound) return { answer: false }
    if (found.status !== Status.ok) return { answer: unexpected(found) }
    const stored = readable(found.value)
    if (stored instanceof Error) return { answer: stored }
    if (stored === 'unreadable' || stored.version !== expected) return { answer: false }
    if (stored.record.expiresAt >= expiresAt) return { answer: true }
    const text = withExpiry(found.value, expiresAt)
    const item: Item = { ...stored, text, exptime: exptimeFor(expiresAt, this.#call.now) }
    return this.#storing(place, key, item, found.cas, true)
  }

  /**
   * @param cas of what is to be overwritten; undefined where nothing is there
   * @param answer when it is stored
   */
  #storing(place: number, key: string, item: Item, cas: bigint | undefined, answer: ChangeAnswer): Step {
    const { text: value, exptime } = item
    const command: Command =
      cas === undefined ? { opcode: Opcode.add, value, exptime } : { opcode: Opcode.replace, value, exptime, cas }
    const onAnswer = (came: ItemAnswer): Outcome => {
      if (isRefused(came)) return undefined
      if (came.status !== Status.ok) return { answer: failure(came, item) }
      this.#casTokens.set(item.version, came)
      return { answer }
    }
    return { place, key, command, onAnswer }
  }
}

function afterDelete(answer: ItemAnswer): Outcome {
  if (answer.status === Status.ok) return { answer: true }
  return { answer: answer.status === Status.notFound ? false : unexpected(answer) }
}

/** The error of a text that is of another release's layout. */
function readable(text: string): StoredRecord | 'unreadable' | Error {
  try {
    return recordFromText(text)
  } catch (error) {
    return error as Error
  }
}
