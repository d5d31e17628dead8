import assert from 'node:assert/strict'
import fc from 'fast-check'

/** As much of a session store as the model uses. */
interface ModelledStore {
  get(id: string): Promise<unknown>
  set(id: string, session: never): Promise<void>
  touch(id: string, session: never): Promise<void>
  destroy(id: string): Promise<void>
  prune(): Promise<number>
  close(): Promise<void>
}

/** Two stores over the same fresh records, as two processes have them, with this clock and `touchInterval`. */
export type MakePair = (options: {
  now: () => number
  touchInterval: number
  pruneInterval: false
}) => Promise<[ModelledStore, ModelledStore]>

const LIFETIME = 100_000
const TOUCH_INTERVAL = 5000
/** After this long, pruning finds what has expired: it leaves alone what has been over for less than two hours. In ms. */
const UNTIL_PRUNED = 3 * 60 * 60_000
const ids = ['id0', 'id1', 'id2']
const keys = ['a', 'b', 'c'] as const

type Data = Partial<Record<(typeof keys)[number], number>>
type Session = Data & { cookie: { expires: Date; originalMaxAge: number } }

/** What must be stored: the data exactly; the expiry as it was last seen, within the bounds that the contract allows. */
interface Expected {
  data: Data
  expiresAt: number
}

/** A request under way: the session as it loaded it, and as it is now. */
interface Request {
  id: string
  store: ModelledStore
  session: Session
  base: Data
  /**
   * The stored expiry as this request knows it: exactly after a load or a write, within bounds after a save that may
   * have been skipped. Asking for less means ending the session earlier on purpose.
   */
  known: { min: number; max: number }
  /** It once asked for an earlier end, and means it. */
  endsEarly: boolean
  /** The record it loaded; another one if the session was destroyed meanwhile. */
  expected: Expected
}

type Step =
  | { do: 'begin'; id: string; process: number; data: Data }
  | { do: 'load'; id: string; process: number }
  | { do: 'change'; request: number; key: (typeof keys)[number]; value: number | undefined }
  | { do: 'end earlier'; request: number; lifetime: number }
  | { do: 'save'; request: number }
  | { do: 'touch'; request: number }
  | { do: 'destroy'; id: string; process: number }
  | { do: 'wait'; ms: number }
  | { do: 'prune'; process: number }

const id = fc.constantFrom(...ids)
const processNumber = fc.nat(1)
const request = fc.nat(5)
const value = fc.option(fc.nat(3), { nil: undefined })
const data: fc.Arbitrary<Data> = fc.dictionary(fc.constantFrom(...keys), fc.nat(3))

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.record({ do: fc.constant('begin' as const), id, process: processNumber, data }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('load' as const), id, process: processNumber }) },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('change' as const), request, key: fc.constantFrom(...keys), value }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('end earlier' as const),
        request,
        lifetime: fc.integer({ min: -1, max: LIFETIME }),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('save' as const), request }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('touch' as const), request }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('destroy' as const), id, process: processNumber }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('wait' as const),
        ms: fc.oneof(
          { weight: 4, arbitrary: fc.nat(2 * TOUCH_INTERVAL) },
          { weight: 4, arbitrary: fc.nat(LIFETIME) },
          { weight: 2, arbitrary: fc.constant(LIFETIME) },
          { weight: 1, arbitrary: fc.constant(LIFETIME + UNTIL_PRUNED) },
        ),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('prune' as const), process: processNumber }) },
  ),
  { maxLength: 40, size: 'max' },
)

/**
 * Runs random sequences of loads, changes, saves, log-outs and pauses, with several requests under way at once in two
 * processes, and compares each session after each step with what the contract says.
 */
export async function checkAgainstModel(makePair: MakePair, runs = 200): Promise<void> {
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      const world = await World.make(makePair)
      try {
        for (const step of sequence) await world.take(step)
      } finally {
        await world.close()
      }
    }),
    { numRuns: runs },
  )
}

class World {
  readonly #clock: { ms: number }
  readonly #stores: [ModelledStore, ModelledStore]
  readonly #expected = new Map<string, Expected>()
  readonly #requests: Request[] = []

  static async make(makePair: MakePair): Promise<World> {
    const clock = { ms: Date.now() }
    return new World(
      clock,
      await makePair({ now: () => clock.ms, touchInterval: TOUCH_INTERVAL, pruneInterval: false }),
    )
  }

  private constructor(clock: { ms: number }, stores: [ModelledStore, ModelledStore]) {
    this.#clock = clock
    this.#stores = stores
  }

  async close(): Promise<void> {
    for (const store of this.#stores) await store.close()
  }

  async take(step: Step): Promise<void> {
    if (step.do === 'wait') this.#clock.ms += step.ms
    else if (step.do === 'prune') await this.#store(step.process).prune()
    else if (step.do === 'begin') await this.#begin(step.id, this.#store(step.process), step.data)
    else if (step.do === 'load') await this.#load(step.id, this.#store(step.process))
    else if (step.do === 'destroy') {
      await this.#store(step.process).destroy(step.id)
      this.#expected.delete(step.id)
    } else {
      const request = this.#requests[step.request]
      if (request === undefined) return
      if (step.do === 'change') {
        if (step.value === undefined) delete request.session[step.key]
        else request.session[step.key] = step.value
      } else if (step.do === 'end earlier') {
        request.session.cookie.expires = new Date(this.#clock.ms + step.lifetime)
        request.endsEarly = true
      } else await this.#save(request, step.do)
    }
    for (const each of ids) await this.#compare(each)
  }

  #store(process: number): ModelledStore {
    return this.#stores[process] as ModelledStore
  }

  /** A new session, whose cookie ends after LIFETIME. Ids are not used again while a request has the old session. */
  async #begin(id: string, store: ModelledStore, data: Data): Promise<void> {
    if (this.#requests.some((request) => request.id === id)) return
    const session = { cookie: this.#cookie(), ...data }
    await store.set(id, session as never)
    const expected = { data: { ...data }, expiresAt: this.#clock.ms + LIFETIME }
    this.#expected.set(id, expected)
    this.#open({
      id,
      store,
      session,
      base: { ...data },
      known: exactly(expected.expiresAt),
      endsEarly: false,
      expected,
    })
  }

  async #load(id: string, store: ModelledStore): Promise<void> {
    const found = (await store.get(id)) as Session | null
    const expected = this.#live(id)
    if (found === null || expected === undefined) return // compared after the step
    const session = { ...found, cookie: this.#cookie() }
    this.#open({
      id,
      store,
      session,
      base: dataOf(found),
      known: exactly(expected.expiresAt),
      endsEarly: false,
      expected,
    })
  }

  async #save(request: Request, how: 'save' | 'touch'): Promise<void> {
    const { id, store, session, base, known, endsEarly } = request
    await (how === 'save' ? store.set(id, session as never) : store.touch(id, session as never))
    const ours = session.cookie.expires.getTime()
    const endsEarlier = ours < known.max
    if (endsEarlier && ours <= this.#clock.ms && (ours < known.min || (await this.#seen(id)) === null)) {
      this.#expected.delete(id)
      return
    }
    const expected = this.#live(id)
    if (expected === undefined || expected !== request.expected) return // destroyed or expired meanwhile: stays so
    const { expiresAt: before } = expected
    const changed = how === 'save' && this.#merge(request)
    const seen = (await this.#seen(id))?.cookie.expires.getTime()
    assert.ok(seen !== undefined, 'the session is there')
    if (!(endsEarlier && seen === ours)) {
      assert.ok(ours >= known.min || ours > before, 'an expiry moved to earlier holds')
      const othersEndedIt = before < known.max
      const backBy = endsEarly ? Number.POSITIVE_INFINITY : TOUCH_INTERVAL
      const least = changed ? before - backBy : Math.max(before, othersEndedIt ? before : ours - TOUCH_INTERVAL)
      assert.ok(seen >= least, `not earlier than allowed: ${seen - least}`)
      assert.ok(seen <= Math.max(before, ours), `not later than allowed: ${seen - ours}`)
    }
    expected.expiresAt = seen
    request.base = changed ? dataOf(session) : base
    const written = changed || (endsEarlier && seen === ours)
    request.known = written ? exactly(ours) : { min: known.min, max: Math.max(known.max, ours) }
  }

  /** Puts what the request changed into what must be stored; answers whether there was anything. */
  #merge({ session, base, expected }: Request): boolean {
    const data = dataOf(session)
    const changes = keys.filter((key) => data[key] !== base[key])
    for (const key of changes) {
      if (data[key] === undefined) delete expected.data[key]
      else expected.data[key] = data[key]
    }
    return changes.length > 0
  }

  async #compare(id: string): Promise<void> {
    const expected = this.#live(id)
    for (const store of this.#stores) {
      const found = (await store.get(id)) as Session | null
      assert.deepEqual(found && dataOf(found), expected?.data ?? null)
      if (expected) assert.equal(found?.cookie.expires.getTime(), expected.expiresAt)
    }
  }

  async #seen(id: string): Promise<Session | null> {
    return (await this.#stores[0].get(id)) as Session | null
  }

  #live(id: string): Expected | undefined {
    const expected = this.#expected.get(id)
    if (expected && expected.expiresAt <= this.#clock.ms) this.#expected.delete(id)
    return this.#expected.get(id)
  }

  #cookie(): Session['cookie'] {
    return { expires: new Date(this.#clock.ms + LIFETIME), originalMaxAge: LIFETIME }
  }

  /** Only so many requests at once: a new one takes the place of the oldest. */
  #open(request: Request): void {
    this.#requests.push(request)
    if (this.#requests.length > 6) this.#requests.shift()
  }
}

function dataOf(session: Session): Data {
  const { a, b, c } = session
  return JSON.parse(JSON.stringify({ a, b, c }))
}

function exactly(expiresAt: number): { min: number; max: number } {
  return { min: expiresAt, max: expiresAt }
}
