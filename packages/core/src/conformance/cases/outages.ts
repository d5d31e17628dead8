import assert from 'node:assert/strict'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import type { SessionRecord } from '../../backend.ts'
import { keyOf } from '../../key.ts'
import type { SessionStore } from '../../store.ts'
import { type Clock, defineCase } from '../case.ts'
import { dataOf, LIFETIME, load, newSession, type TestSession } from '../data.ts'
import { layer, losingAnswers, TroubledServer } from '../layers.ts'

/** How long operations may take while the server is in trouble, in ms: short, and long enough for a busy machine. */
const TIMEOUT = 400
/** After how long an operation counts as hanging, in ms. */
const HANGS = 3 * TIMEOUT
/** How long it may take to notice that the server is back, in ms. */
const BACK = 5000

/** A server in trouble, as a layer between the store and its backend plays it: so it works with every server. */
export const outageCases = [
  defineCase('S41', 'an operation that is sent again because its answer was lost takes effect once', async (scene) => {
    const { store, other, openOver, clock } = scene
    const resending = openOver(losingAnswers())
    await resending.set('id', newSession(clock, { a: 1 }))
    const [ours, theirs] = [await load(resending, 'id', clock), await load(other, 'id', clock)]
    await resending.set('id', { ...ours, a: 2 })
    await other.set('id', { ...theirs, b: 1 })
    assert.deepEqual(await dataOf(store, 'id'), { a: 2, b: 1 })
    clock.advance(LIFETIME / 2)
    const late = await load(resending, 'id', clock)
    await resending.set('id', late)
    assert.equal((await load(store, 'id', clock)).cookie.expires?.getTime(), clock.ms + LIFETIME)
    await resending.destroy('id')
    await resending.set('id', { ...late, a: 3 })
    assert.equal(await store.get('id'), null)
  }),

  defineCase(
    'S42',
    'while the server does not answer, every operation ends by its deadline with a 503',
    async ({ store, openOver, clock }) => {
      await store.set('id', newSession(clock))
      clock.advance(LIFETIME / 2) // so that a touch is worth a call
      const troubled = (['hangs', 'refuses for now'] as const).map(async (trouble) => {
        const server = new TroubledServer()
        const cutOff = openOver(server.layer, { timeout: TIMEOUT })
        const session = await load(cutOff, 'id', clock)
        server.begin(trouble)
        for (const [operation, outcome] of Object.entries(beginAll(cutOff, session, clock))) {
          const end = await Promise.race([outcome, sleep(HANGS, 'no end', { ref: false })])
          assert.ok(isUnavailable(end), `${operation} while the server ${trouble}: ${inspect(end)}`)
        }
      })
      await Promise.all(troubled)
    },
  ),

  defineCase(
    'S43',
    'while the server refuses, every operation ends with a 503 whose cause says why',
    async ({ openOver, clock }) => {
      const server = new TroubledServer()
      const refused = openOver(server.layer)
      await refused.set('id', newSession(clock))
      clock.advance(LIFETIME / 2)
      const session = await load(refused, 'id', clock)
      server.begin('refuses')
      for (const [operation, outcome] of Object.entries(beginAll(refused, session, clock))) {
        const end = await outcome
        assert.ok(isUnavailable(end), `${operation}: ${inspect(end)}`)
        assert.equal((end.cause as { code?: string }).code, 'ECONNREFUSED', operation)
      }
    },
  ),

  defineCase(
    'S44',
    'when the server is back, the next operation works, and sessions are as they were',
    async ({ store, openOver, clock }) => {
      const troubled = (['hangs', 'refuses', 'refuses for now'] as const).map(async (id) => {
        await store.set(id, newSession(clock, { a: 1 }))
        const server = new TroubledServer()
        const cutOff = openOver(server.layer, { timeout: TIMEOUT })
        server.begin(id)
        await assert.rejects(cutOff.get(id), isUnavailable)
        server.end()
        await answersPings(cutOff)
        const session = await load(cutOff, id, clock)
        assert.equal(session.a, 1)
        await cutOff.set(id, { ...session, a: 2 })
        assert.deepEqual(await dataOf(store, id), { a: 2 })
      })
      await Promise.all(troubled)
    },
  ),

  defineCase('S45', 'an outage that ends in time is noticed by nobody', async ({ store, openOver, clock }) => {
    for (const trouble of ['hangs', 'answers late', 'refuses for now'] as const) {
      await store.set('id', newSession(clock))
      const server = new TroubledServer()
      const delayed = openOver(server.layer)
      clock.advance(LIFETIME / 2)
      const session = await load(delayed, 'id', clock)
      server.begin(trouble)
      const outcomes = beginAll(delayed, session, clock)
      await nextTurn()
      server.end()
      for (const [operation, outcome] of Object.entries(outcomes)) {
        const end = await outcome
        assert.ok(!(end instanceof Error), `${operation} while the server ${trouble}: ${inspect(end)}`)
      }
    }
  }),

  defineCase(
    'S46',
    'an answer that comes too late reaches nobody, and the save can be repeated',
    async ({ openOver, clock }) => {
      const server = new TroubledServer()
      const store = openOver(server.layer, { timeout: TIMEOUT })
      await store.set('id', newSession(clock, { a: 1 }))
      const session = await load(store, 'id', clock)
      session.a = 2
      const answers: unknown[] = []
      server.begin('answers late')
      await Promise.all([
        new Promise<void>((resolve) => store.set('id', session, (error) => resolve(void answers.push(error)))),
        new Promise<void>((resolve) => store.get('id', (error) => resolve(void answers.push(error)))),
      ])
      server.end()
      await answersPings(store)
      await nextTurn()
      assert.equal(answers.length, 2)
      assert.ok(answers.every(isUnavailable))
      await store.set('id', session)
      assert.deepEqual(await dataOf(store, 'id'), { a: 2 })
    },
  ),

  defineCase(
    'S47',
    'a request that only reads does not fail because its touch is refused',
    async ({ openOver, clock }) => {
      const touchless = openOver(
        layer(({ verb, pass }) => {
          if (verb === 'touch') throw new Error('the server takes no writes')
          return pass()
        }),
      )
      await touchless.set('id', newSession(clock, { a: 1 }))
      clock.advance(LIFETIME / 2)
      await touchless.set('id', await load(touchless, 'id', clock))
      assert.deepEqual(await dataOf(touchless, 'id'), { a: 1 })
    },
  ),

  defineCase('S48', 'an error shows neither the session nor its key', async ({ openOver, clock }) => {
    let refusal: (key: string, record: SessionRecord) => Error
    const store = openOver(
      layer(({ verb, args, pass }) => {
        if (verb !== 'replace') return pass()
        throw refusal(args[0] as string, args[1] as SessionRecord)
      }),
    )
    const id = 'Qk_XT2K7-clT-x1tVvoY6tIQ83iP72KN'
    await store.set(id, newSession(clock, { password: 'hunter2' }))
    for (const make of errorsAbout) {
      for (const quote of quotes) {
        refusal = (key, record) => make(quote(key, record))
        const end = await store.set(id, { ...(await load(store, id, clock)), a: 1 }).catch((error) => error)
        assert.ok(isUnavailable(end))
        const shown = inspect(end, { depth: Number.POSITIVE_INFINITY, showHidden: true })
        for (const secret of [id, keyOf(id), 'hunter2']) assert.ok(!shown.includes(secret), 'the error is clean')
      }
    }
  }),
]

/** How drivers and servers quote what they were given. */
const quotes: Array<(key: string, record: SessionRecord) => string> = [
  (key) => key,
  (_, record) => record.data,
  (_, record) => inspect(record),
  (_, record) => JSON.stringify(record),
]

/** Where in an error they do so. */
const errorsAbout: Array<(quote: string) => Error> = [
  (quote) => new Error(`refused: ${quote}`),
  (quote) => new Error('refused', { cause: new Error(quote) }),
  (quote) => new AggregateError([new Error(quote)]),
  (quote) => Object.assign(new Error('refused'), { detail: quote, command: { args: [quote] } }),
]

type Outcomes = Record<string, Promise<unknown>>

/** Begins every operation there is; each outcome is the answer or the error. */
function beginAll(store: SessionStore, session: TestSession, clock: Clock): Outcomes {
  const { backend } = store
  const outcomes: Outcomes = {
    get: store.get('id'),
    'set, of a new session': store.set('new', newSession(clock)),
    touch: store.touch('id', session),
    'set, of a changed session': store.set('id', { ...session, changed: true }),
    destroy: store.destroy('another'),
    ping: store.ping(),
    ...(backend.prune && { prune: store.prune() }),
    ...(backend.count && { count: store.count() }),
    ...(backend.scan && { scan: store.scan().next() }),
    ...(backend.clear && { clear: store.clear() }),
    ...(backend.check && { check: store.check() }),
  }
  for (const [operation, outcome] of Object.entries(outcomes)) outcomes[operation] = outcome.catch((error) => error)
  return outcomes
}

function isUnavailable(error: unknown): error is Error {
  const { code, statusCode } = error as { code?: string; statusCode?: number }
  return error instanceof Error && code === 'SESSION_STORE_UNAVAILABLE' && statusCode === 503
}

/** Resolves when the store has noticed that its server is back. */
async function answersPings(store: SessionStore): Promise<void> {
  const until = performance.now() + BACK
  for (;;) {
    const end = await store.ping().catch((error) => error)
    if (end === undefined) return
    assert.ok(performance.now() < until, `the server is back, and the store says ${inspect(end)}`)
    await sleep(10)
  }
}
