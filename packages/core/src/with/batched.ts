import { isPromise } from '../awaitable.ts'
import type { Awaitable, Backend, Change, ChangeAnswer, SessionRecord, StoredRecord } from '../backend.ts'
import { type Call, TryAgain, type Verb, type Work } from '../call.ts'
import { isStoreError } from '../errors.ts'
import { scrubbed, secretsOf } from '../guard/scrub.ts'
import { BatchCall } from './batch-call.ts'

/** How many records one batch holds at most. */
const MAX_RECORDS = 64
/** How many characters of session data one batch of changes holds at most: a larger one would block the server. */
const MAX_CHARS = 256 * 1024

/**
 * Gathers the calls of one turn of the event loop into one command of the server, where the backend can do that: a turn
 * holds many requests, and the driver's work for a command is most of what a call costs. The lone verb is used for a
 * batch of one, and for calls that are sent again. Each call has its own outcome, and only calls for the same part of the
 * server share a batch. Where the last call was alone in its turn, the next one goes at once if nothing is under way: it
 * would most likely wait in vain.
 */
export function batched(backend: Backend): Backend {
  if (backend.readMany === undefined && backend.changeMany === undefined) return backend
  return new BatchedBackend(backend)
}

/** The verbs that are no calls for one record, and stay as they are. */
const PASSED_ON = [
  ...(['insert', 'ping', 'partOf', 'prune', 'count', 'scan', 'clear'] as const),
  ...(['findByUser', 'removeOfUser', 'check'] as const),
]

class BatchedBackend implements Backend {
  readonly name: string
  readonly insert?: NonNullable<Backend['insert']>
  readonly ping?: NonNullable<Backend['ping']>
  readonly partOf?: NonNullable<Backend['partOf']>
  readonly prune?: NonNullable<Backend['prune']>
  readonly count?: NonNullable<Backend['count']>
  readonly scan?: NonNullable<Backend['scan']>
  readonly clear?: NonNullable<Backend['clear']>
  readonly findByUser?: NonNullable<Backend['findByUser']>
  readonly removeOfUser?: NonNullable<Backend['removeOfUser']>
  readonly check?: NonNullable<Backend['check']>
  readonly #inner: Backend
  readonly #reads: Batcher<string, StoredRecord | 'unreadable' | undefined>
  readonly #changes: Batcher<Change, ChangeAnswer>

  constructor(inner: Backend) {
    this.name = inner.name
    this.#inner = inner
    for (const verb of PASSED_ON) {
      if (inner[verb]) Object.assign(this, { [verb]: inner[verb].bind(inner) })
    }
    this.#reads = new Batcher(inner, {
      key: (key) => key,
      verb: () => 'read',
      chars: () => 0,
      one: (key, call) => inner.read(key, call),
      many: inner.readMany?.bind(inner),
    })
    this.#changes = new Batcher(inner, {
      key: ({ key }) => key,
      verb: ({ verb }) => verb,
      chars: (change) => ('record' in change ? change.record.data.length : 0),
      one: (change, call) => changeOne(inner, change, call),
      many: inner.changeMany?.bind(inner),
    })
  }

  read(key: string, call: Call): Awaitable<StoredRecord | 'unreadable' | undefined> {
    return this.#reads.add(key, call)
  }

  write(...[key, record, version, call]: Parameters<Backend['write']>): Awaitable<void> {
    return this.#changes.add({ verb: 'write', key, record, version }, call) as Awaitable<void>
  }

  replace(...[key, record, version, expected, call]: Parameters<Backend['replace']>): ReturnType<Backend['replace']> {
    return this.#changes.add({ verb: 'replace', key, record, version, expected }, call) as ReturnType<
      Backend['replace']
    >
  }

  touch(...[key, expiresAt, expected, userId, call]: Parameters<Backend['touch']>): Awaitable<boolean> {
    return this.#changes.add({ verb: 'touch', key, expiresAt, expected, userId }, call) as Awaitable<boolean>
  }

  remove(key: string, call: Call): Awaitable<boolean> {
    return this.#changes.add({ verb: 'remove', key }, call) as Awaitable<boolean>
  }

  close(): Awaitable<void> {
    return this.#inner.close?.()
  }
}

/** Makes one of many changes by its lone verb, for a `changeMany` that sends some by themselves. */
export function changeOne(backend: Backend, change: Change, call: Call): Awaitable<ChangeAnswer> {
  const { key } = change
  switch (change.verb) {
    case 'write':
      return backend.write(key, change.record, change.version, call) as Awaitable<undefined>
    case 'replace':
      return backend.replace(key, change.record, change.version, change.expected, call)
    case 'touch':
      return backend.touch(key, change.expiresAt, change.expected, change.userId, call)
    case 'remove':
      return backend.remove(key, call)
  }
}

interface Verbs<Item, Answer> {
  key(item: Item): string
  verb(item: Item): Verb
  /** How much the item counts towards the size of a batch. */
  chars(item: Item): number
  one(item: Item, call: Call): Awaitable<Answer>
  many: ((items: Item[], call: Call) => Awaitable<Array<Answer | Error>>) | undefined
}

/** The calls of one kind that wait for the end of this turn. */
class Batcher<Item, Answer> {
  readonly #verbs: Verbs<Item, Answer>
  readonly #partOf: ((work: Work) => string) | undefined
  readonly #isSynchronous: boolean
  /** Whether the calls that wait are sent at the end of this turn of the event loop, and more may join them. */
  #isTurnOpen = false
  /** How many commands have been sent and not been answered. */
  #underWay = 0
  /** Whether the last call was alone in its turn, and nothing else came until it was answered. */
  #wasAlone = false
  /** By part of the server. */
  #waiting = new Map<string, Slot<Item, Answer>[]>()

  constructor(backend: Backend, verbs: Verbs<Item, Answer>) {
    this.#verbs = verbs
    this.#partOf = backend.partOf?.bind(backend)
    this.#isSynchronous = backend.isSynchronous ?? false
  }

  add(item: Item, call: Call): Awaitable<Answer> {
    const { one, many, verb, key } = this.#verbs
    if (many === undefined || call.attempt > 1) return one(item, call)
    if (!this.#isTurnOpen) {
      if (this.#wasAlone && this.#underWay === 0) return this.#sendNow(item, call)
      this.#isTurnOpen = true
      setImmediate(() => this.#flush())
      if (this.#isSynchronous) return one(item, call)
    }
    const part = this.#partOf?.({ verb: verb(item), key: key(item) }) ?? ''
    const slot = new Slot<Item, Answer>(item, call)
    const slots = this.#waiting.get(part)
    if (slots === undefined) this.#waiting.set(part, [slot])
    else slots.push(slot)
    return slot as unknown as Promise<Answer>
  }

  #sendNow(item: Item, call: Call): Awaitable<Answer> {
    const answer = this.#verbs.one(item, call)
    if (!isPromise(answer)) return answer
    const slot = new Slot<Item, Answer>(item, call)
    this.#underWay += 1
    answer.then(
      (value) => {
        this.#underWay -= 1
        slot.settle(value)
      },
      (error) => {
        this.#underWay -= 1
        slot.fail(error)
      },
    )
    return slot as unknown as Promise<Answer>
  }

  #flush(): void {
    this.#isTurnOpen = false
    const waiting = this.#waiting
    this.#waiting = new Map()
    const isAlone = waiting.size === 1 && [...waiting.values()][0]?.length === 1
    this.#wasAlone = isAlone && this.#underWay === 0 && !this.#isSynchronous
    for (const slots of waiting.values()) {
      let batch: Slot<Item, Answer>[] = []
      let chars = 0
      for (const slot of slots) {
        const more = this.#verbs.chars(slot.item)
        if (batch.length === MAX_RECORDS || (batch.length > 0 && chars + more > MAX_CHARS)) {
          this.#send(batch)
          batch = []
          chars = 0
        }
        batch.push(slot)
        chars += more
      }
      this.#send(batch)
    }
  }

  #send(batch: Slot<Item, Answer>[]): void {
    const { one, many } = this.#verbs
    const [first] = batch
    if (batch.length === 1 && first) {
      this.#answerTo(
        () => one(first.item, first.call),
        (answer) => first.settle(answer),
        (error) => first.fail(error),
      )
      return
    }
    for (const { call } of batch) call.batchSize = batch.length
    this.#answerTo(
      () => (many as NonNullable<typeof many>)(batch.map(itemOf), new BatchCall(batch.map(callOf))),
      (answers) => {
        for (const [n, slot] of batch.entries()) {
          const answer = answers[n] as Answer | Error
          slot.settle(answer instanceof Error ? withoutBatch(answer, batch.map(itemOf)) : answer)
        }
      },
      (error) => {
        const clean = withoutBatch(error, batch.map(itemOf))
        for (const slot of batch) slot.fail(clean)
      },
    )
  }

  /** Sees to what the work answers, now or later, or throws. */
  #answerTo<T>(work: () => Awaitable<T>, onAnswer: (answer: T) => void, onFailure: (error: unknown) => void): void {
    let answer: Awaitable<T>
    try {
      answer = work()
    } catch (error) {
      onFailure(error)
      return
    }
    if (!isPromise(answer)) {
      onAnswer(answer)
      return
    }
    this.#underWay += 1
    answer.then(
      (value) => {
        this.#underWay -= 1
        onAnswer(value)
      },
      (error) => {
        this.#underWay -= 1
        onFailure(error)
      },
    )
  }
}

/** The error without what it may quote of any call in the batch: the guard only knows of the one that it is for. */
function withoutBatch(error: unknown, items: unknown[]): Error {
  if (isStoreError(error)) return error
  const secrets = items.flatMap((item) => {
    const { key, record } = (typeof item === 'string' ? { key: item } : item) as { key: string; record?: SessionRecord }
    return secretsOf([key, record])
  })
  if (error instanceof TryAgain) return new TryAgain(scrubbed(error.cause, secrets), { alone: error.alone })
  return scrubbed(error, secrets)
}

/** One call in a batch. A bare thenable for the guard, which calls `then` once: a promise a record would cost more. */
class Slot<Item, Answer> {
  readonly item: Item
  readonly call: Call
  #onAnswer: (answer: Answer) => void = () => {}
  #onFailure: (error: unknown) => void = () => {}

  constructor(item: Item, call: Call) {
    this.item = item
    this.call = call
  }

  // biome-ignore lint/suspicious/noThenProperty: it is meant to be one
  then(onAnswer: (answer: Answer) => void, onFailure: (error: unknown) => void): void {
    this.#onAnswer = onAnswer
    this.#onFailure = onFailure
  }

  settle(answer: Answer | Error): void {
    if (answer instanceof Error) this.#onFailure(answer)
    else this.#onAnswer(answer)
  }

  fail(error: unknown): void {
    this.#onFailure(error)
  }
}

function itemOf<Item>({ item }: { item: Item }): Item {
  return item
}

function callOf({ call }: { call: Call }): Call {
  return call
}
