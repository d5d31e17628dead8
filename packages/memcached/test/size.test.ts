import { describe, expect, test } from 'vitest'
import {
  noMemcached,
  patientStore,
  recordOf,
  recordsOf,
  testServer,
  testStore,
  testWire,
  unavailable,
} from './setup.ts'

const MIB = 1024 * 1024

describe.skipIf(noMemcached)('a session larger than the server takes', () => {
  test.each([
    ['1 MiB, the default', [], MIB],
    ['4 KiB', ['-I', '4k', '-o', 'slab_chunk_max=4096'], 4096],
    ['8 MiB', ['-I', '8m', '-m', '256'], 8 * MIB],
  ])('%s: is refused before the server sees it, and the old one stays', async (_, options, limit) => {
    const wire = await testWire(await testServer(...options))
    const store = testStore([wire], { maxBytes: 64 * MIB })
    await store.set('id', { a: 1 })
    const session = await store.get('id')
    session.a = 'x'.repeat(limit)
    const before = wire.requests
    await expect(store.set('id', session)).rejects.toMatchObject({
      code: 'SESSION_TOO_LARGE',
      message: expect.stringContaining(`has ${limit + 8} bytes`),
    })
    await expect(store.set('new', { a: session.a })).rejects.toMatchObject({ code: 'SESSION_TOO_LARGE' })
    expect(wire.requests - before, 'the server has said its limit before').toBe(0)
    expect(await store.get('id')).toMatchObject({ a: 1 })
  })

  test('maxBytes below the server’s limit counts first', async () => {
    const store = testStore([await testServer()])
    await expect(store.set('id', { a: 'x'.repeat(70_000) })).rejects.toMatchObject({
      code: 'SESSION_TOO_LARGE',
      message: expect.stringContaining('the limit is 65536'),
    })
  })

  test.each([
    ['1 MiB', []],
    ['2 KiB', ['-I', '2k', '-o', 'slab_chunk_max=2048']],
    ['1 KiB, the least there is', ['-I', '1k', '-o', 'slab_chunk_max=1024']],
    ['8 MiB', ['-I', '8m', '-m', '256']],
  ])('%s: what the error names as the limit is stored, a byte more is refused', async (_, options) => {
    const records = recordsOf(patientStore([await testServer(...options)], { maxBytes: 64 * MIB }))
    const error = await records.write('key', recordOf('x'.repeat(9 * MIB))).catch((each) => each)
    const limit = Number(/the limit is (\d+)/.exec(error.message)?.[1])
    const largest = recordOf('x'.repeat(limit))
    await records.write('key', largest)
    expect((await records.read('key'))?.record).toEqual(largest)
    await expect(records.write('key', recordOf('x'.repeat(limit + 1)))).rejects.toMatchObject({
      code: 'SESSION_TOO_LARGE',
      message: `the serialized session has ${limit + 1} bytes, the limit is ${limit}: keep less in the session, or raise maxBytes`,
    })
    expect((await records.read('key'))?.record).toEqual(largest)
  })

  test('after a restart the server’s new limit holds', async () => {
    const server = await testServer()
    const store = testStore([server], { maxBytes: MIB })
    const large = { a: 'x'.repeat(100_000) }
    await store.set('id', large)
    await server.stop()
    server.options = ['-I', '64k', '-o', 'slab_chunk_max=65536']
    await server.start()
    await expect(store.set('id2', large)).rejects.toMatchObject({
      code: 'SESSION_TOO_LARGE',
      message: expect.stringMatching(/the limit is 65\d\d\d:/),
    })
  })
})

describe.skipIf(noMemcached)('a server that is full and may not evict (-M)', () => {
  test('answers 503 to a save that it has no room for, and keeps the old session', async () => {
    const server = await testServer('-m', '8', '-M')
    const store = testStore([server], { maxBytes: MIB })
    await store.set('id', { a: 1, filler: 'x'.repeat(40_000) })
    let failures = 0
    for (let n = 0; n < 400; n += 1) {
      const full = await store.set(`filler${n}`, { filler: 'x'.repeat(40_000) }).then(
        () => false,
        () => true,
      )
      if (full) failures += 1
    }
    expect(failures, 'the server is full').toBeGreaterThan(100)
    const session = await store.get('id')
    session.a = 2
    await expect(store.set('id', session)).rejects.toMatchObject({
      code: 'SESSION_STORE_UNAVAILABLE',
      cause: { message: expect.stringMatching(/out of memory/i) },
    })
    expect(await store.get('id')).toMatchObject({ a: 1 })
    // And one that knows nothing of the old session, and would begin it anew.
    await expect(store.set('id', { a: 3, filler: 'x'.repeat(40_000) })).rejects.toMatchObject(unavailable)
    expect(await store.get('id')).toMatchObject({ a: 1 })
  })
})
