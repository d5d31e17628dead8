import { describe, expect, test } from 'vitest'
import { noMemcached, recordOf, recordsOf, testServer, testStore, testWire, unavailable } from './setup.ts'

// 300 ms each way, and the default timeout of 2 s. A store's first call makes a connection and learns the generation, and
// so takes three round trips of 600 ms. Where that is tried, both are doubled, so that a busy machine has time to spare.

async function far(delay: number) {
  const server = await testServer()
  const wire = await testWire(server)
  wire.delay = delay
  return { server, wire }
}

describe.skipIf(noMemcached)('a server that is 300 ms away', () => {
  test('serves a hundred requests at once, again and again, on one connection', async () => {
    const { wire } = await far(300)
    const store = testStore([wire])
    const ids = Array.from({ length: 100 }, (_, n) => `id${n}`)
    await store.ping()
    for (let round = 0; round < 4; round += 1) {
      await Promise.all(
        ids.map(async (id) => {
          const session = await store.get(id)
          if (round > 0) expect(session).toMatchObject({ id, round })
          await store.set(id, { ...session, id, round: round + 1 })
        }),
      )
    }
    expect(wire.connections).toBe(1)
  })

  test('takes sessions as the first thing that a store does, and its server', async () => {
    const { wire } = await far(600)
    const store = testStore([wire], { timeout: 4000 })
    const ids = Array.from({ length: 20 }, (_, n) => `id${n}`)
    await Promise.all(ids.map((id) => store.set(id, { id, text: 'x'.repeat(50_000) })))
    for (const session of await Promise.all(ids.map((id) => store.get(id)))) expect(session).not.toBeNull()
  })

  test('answers each verb as the first thing that a store does', async () => {
    const { server, wire } = await far(600)
    const records = recordsOf(testStore([server]))
    const version = await records.write('key1', recordOf('1'))
    await records.write('key2', recordOf('2'))
    const newStore = () => testStore([wire], { timeout: 4000 })
    const newRecords = () => recordsOf(newStore())
    expect(
      await Promise.all([
        newRecords().read('key1'),
        newRecords().remove('key2'),
        newRecords().touch('key3', Date.now() + 90_000, version),
        newRecords().replace('key4', recordOf('4'), version),
        newRecords().write('key5', recordOf('5')),
        newStore().ping(),
      ]),
    ).toEqual([
      { record: expect.objectContaining({ data: '1' }), version },
      true,
      false,
      'missing',
      expect.any(String),
      undefined,
    ])
    await newStore().clear()
  })

  test('is used again by the first requests after its return, a read and a first save', async () => {
    const { server, wire } = await far(600)
    const store = testStore([wire], { timeout: 4000 })
    await store.set('id', { a: 1 })
    await server.kill()
    await expect(store.get('id')).rejects.toMatchObject(unavailable)
    await server.start()
    const text = 'x'.repeat(50_000)
    const [read] = await Promise.all([store.get('id'), store.set('new', { text })])
    expect(read, 'restarted empty').toBeNull()
    expect(await store.get('new')).toMatchObject({ text })
  })
})
