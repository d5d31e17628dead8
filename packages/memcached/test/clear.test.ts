import { until } from '@session-stores/testing'
import { describe, expect, test } from 'vitest'
import {
  freshPrefix,
  noMemcached,
  patientStore,
  recordOf,
  recordsOf,
  testServer,
  testStore,
  unavailable,
  useServers,
} from './setup.ts'

const ids = Array.from({ length: 60 }, (_, n) => `id${n}`)

describe.skipIf(noMemcached).each([
  ['one server', 1],
  ['a pool of three', 3],
])('clearing on %s', (_, count) => {
  const servers = useServers(count)

  test('ends every session, at once, in every process', async () => {
    const prefix = freshPrefix()
    const [store, other, third] = [1, 2, 3].map(() => patientStore(servers(), { prefix })) as [Store, Store, Store]
    await Promise.all(ids.map((id) => store.set(id, { a: 1 })))
    const loaded = await Promise.all(ids.map((id) => other.get(id)))
    expect(loaded).not.toContain(null)
    await store.clear()
    for (const each of [store, other, third]) {
      expect(await Promise.all(ids.map((id) => each.get(id)))).toEqual(ids.map(() => null))
    }
    await Promise.all(ids.map((id, n) => other.set(id, { ...loaded[n], late: true })))
    expect(await store.get('id0'), 'a request under way brings nothing back').toBeNull()
    await other.set('id0', { a: 2 })
    expect(await store.get('id0')).toMatchObject({ a: 2 })
    expect(await third.get('id0')).toMatchObject({ a: 2 })
  })

  test('touches nothing else on the servers', async () => {
    const mine = patientStore(servers(), { prefix: freshPrefix() })
    const theirs = patientStore(servers(), { prefix: freshPrefix() })
    await mine.set('id', { a: 1 })
    await theirs.set('id', { a: 2 })
    for (const server of servers()) await server.ask('set foreign 0 0 1\r\nx')
    await mine.clear()
    expect(await mine.get('id')).toBeNull()
    expect(await theirs.get('id')).toMatchObject({ a: 2 })
    for (const server of servers()) expect(await server.ask('get foreign')).toMatch(/^VALUE foreign/)
  })

  test('while sessions are written: what was written after it is there, what was written before is not', async () => {
    const prefix = freshPrefix()
    const store = patientStore(servers(), { prefix })
    const writer = patientStore(servers(), { prefix })
    for (let round = 0; round < 20; round += 1) {
      await writer.set(`before${round}`, { round })
      const under = ids.map((id) => writer.set(`${id}-${round}`, { round }))
      await store.clear()
      await writer.set(`after${round}`, { round })
      await Promise.all(under)
      expect(await store.get(`before${round}`)).toBeNull()
      expect(await store.get(`after${round}`)).toMatchObject({ round })
    }
  })

  test('every writer’s sessions are there after it, though all processes remembered the old generation', async () => {
    const prefix = freshPrefix()
    const writers = Array.from({ length: 8 }, () => patientStore(servers(), { prefix }))
    await Promise.all(writers.map((writer, n) => writer.set(`before${n}`, { n })))
    await (writers[0] as Store).clear()
    await Promise.all(writers.map((writer, n) => Promise.all(ids.map((id) => writer.set(`${id}-${n}`, { n })))))
    for (const [n] of writers.entries()) {
      const reader = writers[(n + 1) % writers.length] as Store
      for (const id of ids) expect(await reader.get(`${id}-${n}`)).toMatchObject({ n })
    }
  })
})

type Store = ReturnType<typeof patientStore>

describe.skipIf(noMemcached)('a generation that the server has lost', () => {
  test('takes its sessions with it, and none ever comes back', async () => {
    const server = await testServer()
    const [store, other] = [patientStore([server]), patientStore([server])]
    await store.set('id', { a: 1 })
    const session = await other.get('id')
    expect(await server.ask('delete sess:generation')).toBe('DELETED\r\n')
    expect(await store.get('id')).toBeNull()
    expect(await other.get('id')).toBeNull()
    await other.set('id', { ...session, late: true })
    await other.set('new', { a: 2 })
    expect(await store.get('new')).toMatchObject({ a: 2 })
    for (const each of [store, other, patientStore([server])]) expect(await each.get('id')).toBeNull()
  })

  test('many processes at once begin one new one', async () => {
    const server = await testServer()
    const stores = Array.from({ length: 8 }, () => patientStore([server]))
    for (let round = 0; round < 10; round += 1) {
      await server.ask('delete sess:generation')
      await Promise.all(stores.map((store, n) => store.set(`id${n}`, { round })))
      for (const [n] of stores.entries()) expect(await stores[0]?.get(`id${n}`)).toMatchObject({ round })
    }
  })

  test('flush_all by somebody else is a loss too', async () => {
    const server = await testServer()
    const store = patientStore([server])
    await store.set('id', { a: 1 })
    await server.ask('flush_all')
    expect(await store.get('id')).toBeNull()
    await store.set('id', { a: 2 })
    expect(await store.get('id')).toMatchObject({ a: 2 })
  })

  test('a restart makes no old version valid again', async () => {
    const server = await testServer()
    const records = recordsOf(patientStore([server]))
    const other = recordsOf(patientStore([server]))
    // The server counts its cas anew after a restart: the same steps give the same numbers.
    const first = await records.write('key', recordOf('first'))
    await server.kill()
    await server.start()
    await other.write('key', recordOf('second'))
    expect(await records.replace('key', recordOf('third'), first)).toBe('conflict')
    expect((await other.read('key'))?.record.data).toBe('second')
  })
})

test.skipIf(noMemcached)('clearing while a server is down clears the others once, and fails', async () => {
  const servers = [await testServer(), await testServer()] as const
  const store = testStore([...servers])
  await Promise.all(ids.map((id) => store.set(id, { a: 1 })))
  await servers[1].kill()
  const cleared = store.clear().catch((error) => error)
  const here = await until('the other is cleared', async () => {
    for (const id of ids) {
      const session = await store.get(id).catch(() => undefined)
      if (session === null) return id
    }
  })
  await store.set(here, { a: 2 })
  expect(await cleared).toMatchObject({ ...unavailable, cause: { code: 'ECONNREFUSED' } })
  expect(await store.get(here), 'began after the others were cleared').toMatchObject({ a: 2 })
})

test.skipIf(noMemcached)('clearing fails while a server cannot be reached, and can be repeated', async () => {
  const servers = [await testServer(), await testServer()] as const
  const store = testStore([...servers])
  await Promise.all(ids.map((id) => store.set(id, { a: 1 })))
  await servers[1].pause()
  await expect(store.clear()).rejects.toMatchObject(unavailable)
  servers[1].resume()
  await store.clear()
  expect(await Promise.all(ids.map((id) => store.get(id)))).toEqual(ids.map(() => null))
})
