import { newVersion } from '@session-stores/core'
import { describe, expect, test } from 'vitest'
import { noMemcached, recordOf, recordsOf, testServer, testStore, testWire } from './setup.ts'

// A connection that breaks after the server did its work, and before it said so. The store sends the request again.

async function scene() {
  const server = await testServer()
  const wire = await testWire(server)
  const store = testStore([wire])
  const records = recordsOf(store)
  await records.read('warm') // so that the next answer is the one to cut
  return { server, wire, store, records }
}

describe.skipIf(noMemcached)('an answer that got lost', () => {
  test('of the first write of a session: the replay is a success', async () => {
    const { records, wire } = await scene()
    await records.write('other', recordOf('other')) // begins the generation
    wire.cut(0)
    const version = await records.write('key', recordOf('first'))
    expect(await records.read('key')).toMatchObject({ record: { data: 'first' }, version })
    expect(wire.connections).toBe(2)
  })

  test('of the very first write on an empty server', async () => {
    const { records, wire } = await scene()
    wire.cut(0)
    const version = await records.write('key', recordOf('first'))
    expect(await records.read('key')).toMatchObject({ record: { data: 'first' }, version })
  })

  test('of an insert: the replay has inserted it, and another insert overwrites nothing', async () => {
    const { records, store, wire } = await scene()
    const version = newVersion()
    wire.cut(0)
    expect(await store.backend.insert?.('key', recordOf('first'), version)).toBe('inserted')
    expect(await records.touch('key', Date.now() + 90_000, version)).toBe(true)
    expect(await store.backend.insert?.('key', recordOf('first'), version)).toBe('inserted')
    expect(await store.backend.insert?.('key', recordOf('second'), newVersion())).toBe('exists')
    expect(await records.read('key')).toMatchObject({ record: { data: 'first' }, version })
  })

  test('of a replace: the replay is no conflict', async () => {
    const { records, wire } = await scene()
    const first = await records.write('key', recordOf('first'))
    wire.cut(0)
    const second = await records.replace('key', recordOf('second'), first)
    expect(await records.read('key')).toMatchObject({ record: { data: 'second' }, version: second })
    expect(await records.replace('key', recordOf('third'), first)).toBe('conflict')
  })

  test('of a replace at a version that was never read here', async () => {
    const { records, server } = await scene()
    const first = await records.write('key', recordOf('first'))
    const wire = await testWire(server)
    const other = recordsOf(testStore([wire]))
    await other.read('warm')
    wire.cut('whole', 0)
    const second = await other.replace('key', recordOf('second'), first)
    expect(await records.read('key')).toMatchObject({ record: { data: 'second' }, version: second })
  })

  test('of a touch', async () => {
    const { records, wire } = await scene()
    const version = await records.write('key', recordOf('first'))
    const expiresAt = Date.now() + 90_000
    wire.cut(0)
    expect(await records.touch('key', expiresAt, version)).toBe(true)
    expect(await records.read('key')).toMatchObject({ record: { data: 'first', expiresAt }, version })
  })

  test('of a removal', async () => {
    const { records, wire } = await scene()
    await records.write('key', recordOf('first'))
    wire.cut(0)
    await records.remove('key')
    expect(await records.read('key')).toBeUndefined()
  })

  test('of a clearing', async () => {
    const { store, wire } = await scene()
    await store.set('id', { a: 1 })
    wire.cut(0)
    await store.clear()
    expect(await store.get('id')).toBeNull()
    await store.set('id', { a: 2 })
    expect(await store.get('id')).toMatchObject({ a: 2 })
  })

  test('of a clearing: the replay does not undo a later one', async () => {
    const { store, server, wire } = await scene()
    const other = testStore([server])
    await store.set('old', { a: 1 })
    const seen: unknown[] = []
    wire.cut(async () => {
      await other.set('id', { a: 1 })
      seen.push(await other.get('id'))
      await other.clear()
      seen.push(await other.get('id'))
    })
    await store.clear()
    expect(seen).toEqual([expect.objectContaining({ a: 1 }), null])
    expect(await other.get('id')).toBeNull()
  })

  test('of the beginning of a generation: the replay does not bring it back once it is lost', async () => {
    const { store, server, wire } = await scene()
    const other = testStore([server])
    const seen: unknown[] = []
    wire.cut(async () => {
      await other.set('id', { a: 1 })
      seen.push(await server.ask('delete sess:generation')) // as when it is evicted
      await testStore([server]).destroy('id')
    })
    await store.set('new', { a: 2 })
    expect(seen).toEqual(['DELETED\r\n'])
    expect(await other.get('id')).toBeNull()
    expect(await other.get('new')).toMatchObject({ a: 2 })
  })

  test('three times in a row: the request is sent until there is an answer', async () => {
    const { store, wire } = await scene()
    await store.set('id', { a: 1 })
    wire.cut(0, 0, 0)
    expect(await store.get('id')).toMatchObject({ a: 1 })
    expect(wire.connections).toBe(4)
  })
})

describe.skipIf(noMemcached)('half an answer', () => {
  test('is never taken for the beginning of the next one', async () => {
    const { records, wire } = await scene()
    const large = recordOf('x'.repeat(20_000))
    await records.write('large', large)
    await records.write('small', recordOf('small'))
    for (const bytes of [1, 23, 24, 30, 1000, 15_000]) {
      wire.cut(bytes)
      expect((await records.read('large'))?.record, `cut at ${bytes}`).toEqual(large)
      expect((await records.read('small'))?.record.data).toBe('small')
    }
  })

  test('and the requests behind it are answered over the next connection', async () => {
    const { records, wire } = await scene()
    await Promise.all(Array.from({ length: 50 }, (_, n) => records.write(`key${n}`, recordOf(`${n}`.repeat(1000)))))
    wire.cut(777)
    const found = await Promise.all(Array.from({ length: 50 }, (_, n) => records.read(`key${n}`)))
    for (const [n, each] of found.entries()) expect(each?.record.data).toBe(`${n}`.repeat(1000))
  })
})

test.skipIf(noMemcached)('each verb takes the round trips it should', async () => {
  const { records, store, wire } = await scene()
  const trips = async (work: () => unknown) => {
    const before = wire.requests
    await work()
    return wire.requests - before
  }
  let version = await records.write('key', recordOf('first'))
  expect(await trips(() => records.read('key')), 'read').toBe(1)
  expect(await trips(() => records.write('new', recordOf('new'))), 'first write').toBe(1)
  const replace = async () => {
    version = await records.replace('key', recordOf('second'), version)
  }
  expect(await trips(replace), 'replace of what was read').toBe(1)
  expect(await trips(() => records.touch('key', Date.now() + 90_000, version)), 'touch').toBe(2)
  expect(await trips(replace), 'replace of what was touched').toBe(1)
  expect(await trips(() => records.remove('key')), 'remove').toBe(1)
  expect(await trips(() => store.ping()), 'ping').toBe(1)
})
