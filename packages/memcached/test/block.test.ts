import { Browser, buildApp } from '@session-stores/testing'
import { describe, expect, test } from 'vitest'
import { noMemcached, recordOf, recordsOf, testServer, testStore, testWire } from './setup.ts'

// A handler that computes for seconds keeps the process from reading answers that are in its sockets. That is no outage.

function block(ms: number): void {
  const begun = performance.now()
  while (performance.now() - begun < ms) {}
}

describe.skipIf(noMemcached)('while a handler blocks the event loop', () => {
  test.each([1100, 2500])(
    'for %d ms, no visitor gets a 503, whether the connection is there or being made',
    async (ms) => {
      const store = testStore([await testServer()])
      const app = buildApp(store)
      app.get('/block', async () => {
        block(ms)
        return 'ok'
      })
      await app.listen({ host: '127.0.0.1', port: 0 })
      try {
        for (let round = 0; round < 2; round += 1) {
          const requests = Array.from({ length: 20 }, async (_, n) => {
            const browser = new Browser(app)
            const { status } = await browser.request('POST', `/login/user${n}`)
            if (n === 7) await browser.request('GET', '/block')
            return [status, (await browser.request('GET', '/me')).status]
          })
          for (const statuses of await Promise.all(requests)) expect(statuses).toEqual([200, 200])
        }
      } finally {
        await app.close()
      }
    },
  )

  test.each([0, 2])(
    'that begins %d turns after a call: the call is answered, on a new connection too',
    async (turns) => {
      const server = await testServer()
      for (const warm of [false, true]) {
        const store = testStore([server])
        if (warm) await store.get('id')
        const calls = [store.get('id'), store.set('id2', { a: 1 }), store.destroy('id3')]
        for (let n = 0; n < turns; n += 1) await new Promise((resolve) => setImmediate(resolve))
        block(2500)
        await Promise.all(calls)
      }
    },
  )

  test('for 3 s between two steps of one save: the save is done', async () => {
    const wire = await testWire(await testServer())
    const records = recordsOf(testStore([wire]))
    const version = await records.write('key', recordOf('first'))
    // A touch reads, then replaces: the block comes when the answer to the first step does.
    const before = wire.requests
    const expiresAt = Date.now() + 90_000
    const touched = records.touch('key', expiresAt, version)
    while (wire.requests === before) await new Promise((resolve) => setImmediate(resolve))
    block(3000)
    expect(await touched).toBe(true)
    expect(wire.requests - before, 'two steps').toBe(2)
    expect((await records.read('key'))?.record.expiresAt).toBe(expiresAt)
  })
})
