import { channel } from 'node:diagnostics_channel'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { Browser, buildApp } from '@session-stores/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { type Backend, SessionStore, type StoreOptions } from '../src/index.ts'
import { memoryWith } from './backends.ts'

/**
 * The memory backend behind a line that can be cut: calls then hang, and the ones that hung go on when it is mended. A
 * stand-in for the network; the store packages show the same on real servers.
 */
class CuttableBackend {
  readonly backend: Backend
  calls = 0
  /** ms that each call takes, while the line is whole. */
  delay = 0
  #mended: Promise<void> | undefined
  #mend = () => {}

  constructor(sound = memoryWith()) {
    const verbs = ['read', 'write', 'replace', 'touch', 'remove', 'ping'] as const
    const wrapped = verbs.map((verb) => [
      verb,
      async (...given: never[]) => {
        this.calls += 1
        if (this.#mended) await this.#mended
        if (this.delay > 0) await new Promise((resolve) => setTimeout(resolve, this.delay))
        return (sound[verb] as (...given: never[]) => unknown).call(sound, ...given)
      },
    ])
    this.backend = { name: 'cuttable', ...Object.fromEntries(wrapped) } as Backend
  }

  cut(): void {
    this.#mended = new Promise((resolve) => {
      this.#mend = resolve
    })
  }

  mend(): void {
    this.#mended = undefined
    this.#mend()
  }
}

let closing: Array<() => unknown> = []
afterEach(async () => {
  for (const close of closing.reverse()) await close()
  closing = []
})

function makeStore(options: StoreOptions = {}) {
  const line = new CuttableBackend()
  const store = new SessionStore(line.backend, { timeout: 100, ...options })
  closing.push(() => store.close())
  return { line, store }
}

const unavailable = { code: 'SESSION_STORE_UNAVAILABLE', statusCode: 503 }

describe('a server that does not answer', () => {
  test('every operation ends with a 503 at its deadline', async () => {
    const { line, store } = makeStore()
    await store.set('id', { a: 1 })
    const session = await store.get('id')
    session.a = 2
    line.cut()
    await Promise.all(
      [store.get('id'), store.set('id', session), store.set('new', {}), store.destroy('id'), store.ping()].map((each) =>
        expect(each).rejects.toMatchObject(unavailable),
      ),
    )
  })

  test('after the first deadline, others do not wait for theirs, until it answers again', async () => {
    const { line, store } = makeStore({ timeout: 5000 })
    await store.set('id', { a: 1 })
    const impatient = new SessionStore(line.backend, { timeout: 50 })
    line.cut()
    await expect(impatient.get('id')).rejects.toMatchObject(unavailable)
    const begun = performance.now()
    for (let n = 0; n < 5; n += 1) await expect(impatient.get('id')).rejects.toMatchObject(unavailable)
    expect(performance.now() - begun, 'five calls, each far below a deadline of 5 s').toBeLessThan(2000)
    line.mend()
    expect(await impatient.get('id')).toMatchObject({ a: 1 })
  })

  test('a ping says no as soon as it is asked to', async () => {
    const { line, store } = makeStore({ timeout: 60_000 })
    await store.ping({ timeout: 50 })
    line.cut()
    await expect(store.ping({ timeout: 50 })).rejects.toMatchObject(unavailable) // or the test takes a minute
    line.mend()
    await store.ping({ timeout: 50 })
    await expect(store.ping({ timeout: 0 })).rejects.toThrow('timeout must be a whole number of ms from 1')
  })

  test('while it is thought to be down, only pings are sent', async () => {
    const { line, store } = makeStore({ timeout: 50 })
    line.cut()
    await expect(store.get('id')).rejects.toMatchObject(unavailable)
    const before = line.calls
    await Promise.all(Array.from({ length: 50 }, () => store.get('id').catch(() => {})))
    expect(line.calls - before).toBeLessThanOrEqual(1)
  })

  test('a closed store asks no more whether it is back, also when a call was under way', async () => {
    const { line, store } = makeStore({ timeout: 50 })
    line.cut()
    await expect(store.get('id')).rejects.toMatchObject(unavailable)
    await store.close()
    const late = makeStore({ timeout: 50 })
    late.line.cut()
    const underWay = late.store.get('id')
    await late.store.close()
    await expect(underWay).rejects.toMatchObject(unavailable)
    const before = [line.calls, late.line.calls]
    await sleep(500) // four pings
    expect([line.calls, late.line.calls]).toEqual(before)
  })

  test('one call that hangs does not keep others from a server that answers', async () => {
    let hang = false
    const backend = memoryWith((sound) => ({
      replace: (...given) => (hang ? new Promise<never>(() => {}) : sound.replace(...given)),
    }))
    const store = new SessionStore(backend, { timeout: 50 })
    closing.push(() => store.close())
    await store.set('id', { a: 1 })
    const session = await store.get('id')
    hang = true
    await expect(store.set('id', { ...session, a: 2 })).rejects.toMatchObject(unavailable)
    expect(await store.get('id')).toMatchObject({ a: 1 })
    await store.set('other', {})
  })

  test('a save that is repeated right after it ran out of time does not wait a second time', async () => {
    const { line, store } = makeStore({ timeout: 1000 })
    const session = { a: 1 }
    line.cut()
    await expect(store.set('id', session)).rejects.toMatchObject(unavailable)
    const begun = performance.now()
    await expect(store.set('id', session)).rejects.toMatchObject(unavailable)
    expect(performance.now() - begun).toBeLessThan(900)
    line.mend()
    await store.set('id', session)
    expect(await store.get('id')).toMatchObject({ a: 1 })
  })

  test('writers that wait for a writer of the same session end by their own deadline, and the queue goes on', async () => {
    const { line, store } = makeStore()
    await store.set('id', {})
    const loaded = await Promise.all(Array.from({ length: 5 }, () => store.get('id')))
    line.cut()
    const saves = loaded.map((session, n) => store.set('id', { ...session, [`key${n}`]: n }))
    await Promise.all(saves.map((save) => expect(save).rejects.toMatchObject(unavailable)))
    line.mend()
    const session = await store.get('id')
    await store.set('id', { ...session, after: true })
    expect(await store.get('id')).toMatchObject({ after: true })
  })

  test('a request that changed nothing does not wait behind another’s hung save', async () => {
    const { line, store } = makeStore({ timeout: 1000 })
    await store.set('id', {})
    const [reads, writes] = [await store.get('id'), await store.get('id')]
    line.cut()
    const save = store.set('id', { ...writes, a: 1 })
    await store.set('id', reads)
    line.mend()
    await save
  })

  test('a scan ends too', async () => {
    const backend = memoryWith({ scan: () => new Promise(() => {}) })
    const store = new SessionStore(backend, { timeout: 50 })
    closing.push(() => store.close())
    await expect(store.scan().next()).rejects.toMatchObject(unavailable)
  })
})

describe('a server that is far away', () => {
  test('is given the time it usually takes, after an outage too', async () => {
    const { line, store } = makeStore({ timeout: 500 })
    line.delay = 60
    await store.set('id', { a: 1 })
    line.cut()
    await expect(store.get('id')).rejects.toMatchObject(unavailable)
    line.mend()
    await expect.poll(() => store.get('id').catch(() => null)).toMatchObject({ a: 1 })
    for (let n = 0; n < 3; n += 1) expect(await store.get('id')).toMatchObject({ a: 1 })
  })

  test('… but an answer after its deadline does not count as usual', async () => {
    const { line, store } = makeStore({ timeout: 1500 })
    line.cut()
    await expect(store.get('id')).rejects.toMatchObject(unavailable)
    line.mend()
    await nextTurn() // the answer has come
    line.cut()
    await expect(store.get('id')).rejects.toMatchObject(unavailable)
    const begun = performance.now()
    for (let n = 0; n < 4; n += 1) await expect(store.get('id')).rejects.toMatchObject(unavailable)
    expect(performance.now() - begun, 'four calls, each far below a deadline of 1.5 s').toBeLessThan(4000)
  })

  test('a save that is tried again and again succeeds at last', async () => {
    const { line, store } = makeStore({ timeout: 400 })
    const session = { a: 1 }
    line.cut()
    await expect(store.set('id', session)).rejects.toMatchObject(unavailable)
    line.mend()
    line.delay = 60
    const tryAgain = () =>
      store.set('id', session).then(
        () => true,
        () => false,
      )
    await expect.poll(tryAgain, { interval: 100, timeout: 5000 }).toBe(true)
  })
})

describe('through @fastify/session', () => {
  test('an outage is a 503, never "no session", and the next request after it works', async () => {
    const { line, store } = makeStore()
    const app = buildApp(store)
    closing.push(() => app.close())
    await app.listen({ host: '127.0.0.1', port: 0 })
    const browser = new Browser(app)
    await browser.post('/login/ada')
    const { cookie } = browser
    line.cut()
    for (const [method, path] of [
      ['GET', '/me'],
      ['POST', '/set/a/1'],
      ['POST', '/logout'],
      ['POST', '/login/eve'],
    ]) {
      const response = await browser.request(method as string, path as string)
      expect(response.status, path).toBe(503)
      expect(response.headers.getSetCookie()).toEqual([])
      expect(await response.json()).toEqual({
        statusCode: 503,
        code: 'SESSION_STORE_UNAVAILABLE',
        error: 'Service Unavailable',
        message: expect.stringMatching(/^the cuttable session store is unavailable: /),
      })
    }
    line.mend()
    expect(browser.cookie).toBe(cookie)
    expect(await browser.get('/me')).toEqual({ user: 'ada' })
  })
})

describe('a backend that fails', () => {
  test('its error is the cause of a 503, also when it throws at once', async () => {
    const failure = new Error('ECONNREFUSED')
    for (const fail of [
      () => Promise.reject(failure),
      () => {
        throw failure
      },
    ]) {
      const backend = { ...makeStore().line.backend, read: fail }
      const store = new SessionStore(backend)
      await expect(store.get('id')).rejects.toMatchObject({ ...unavailable, cause: failure })
      const given = await new Promise((resolve) => store.get('id', resolve))
      expect(given).toMatchObject({ ...unavailable, cause: failure })
    }
  })

  test('it is published, with the error and without id or data', async () => {
    const backend = { ...makeStore().line.backend, write: () => Promise.reject(new Error('full')) }
    const messages: unknown[] = []
    const listen = (message: unknown) => messages.push(message)
    channel('tracing:session-stores.set:asyncEnd').subscribe(listen)
    await new SessionStore(backend).set('the-secret-id', { secret: 'data' }).catch(() => {})
    channel('tracing:session-stores.set:asyncEnd').unsubscribe(listen)
    expect(messages).toMatchObject([{ store: 'cuttable', outcome: 'error', duration: expect.any(Number) }])
    expect(JSON.stringify(messages)).not.toMatch(/the-secret-id|data/)
  })
})
