import { newVersion } from '@session-stores/core'
import type { MemcachedServer } from '@session-stores/testing/memcached'
import { describe, expect, test } from 'vitest'
import { ringOf } from '../src/ring.ts'
import {
  freshPrefix,
  keyOf,
  noMemcached,
  recordOf,
  recordsOf,
  testServer,
  testStore,
  testWire,
  unavailable,
  useServers,
} from './setup.ts'

const ids = Array.from({ length: 50 }, (_, n) => `id${n}`)
const isDestroyed = (n: number) => n % 5 === 4

type Store = ReturnType<typeof testStore>

/** Stores a session under each id, and loads them all. */
async function sessionsIn(store: Store) {
  await Promise.all(ids.map((id) => store.set(id, { text: id })))
  return Promise.all(ids.map((id) => store.get(id)))
}

/** Changes all sessions at once: every fifth is destroyed. Answers which changes were acknowledged. */
async function changeAll(store: Store, sessions: object[], more: number): Promise<boolean[]> {
  const changes = ids.map((id, n) => (isDestroyed(n) ? store.destroy(id) : store.set(id, { ...sessions[n], more })))
  const outcomes = await Promise.allSettled(changes)
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject(unavailable)
  }
  return outcomes.map(({ status }) => status === 'fulfilled')
}

/** What all sessions are after all changes. */
function changed(more: number) {
  return ids.map((text, n) => (isDestroyed(n) ? null : expect.objectContaining({ text, more })))
}

describe.skipIf(noMemcached)('the calls of one turn', () => {
  const servers = useServers(1)

  /** A store on a server of the tests, at the end of a cable. */
  async function atWire() {
    const [server] = servers() as [MemcachedServer]
    const wire = await testWire(server)
    const prefix = freshPrefix()
    const store = testStore([wire], { prefix })
    return { server, wire, store, sessions: await sessionsIn(store), other: testStore([server], { prefix }) }
  }

  test('are one packet to the server, which asks for the generation once', async () => {
    const { server, wire, store, sessions } = await atWire()
    const [requests, hits] = [wire.requests, await server.stat('get_hits')]
    expect(await Promise.all([...ids, 'none'].map((id) => store.get(id)))).toEqual([...sessions, null])
    expect(wire.requests - requests).toBe(1)
    expect((await server.stat('get_hits')) - hits).toBe(ids.length + 1)
    await changeAll(store, sessions, 1)
    expect(wire.requests - requests).toBe(2)
    expect(await Promise.all(ids.map((id) => store.get(id)))).toEqual(changed(1))
  })

  test('to read and write again, where only the expiry moves, are two packets', async () => {
    const { wire, store } = await atWire()
    const records = recordsOf(store)
    const keys = ids.map(keyOf)
    const versions = (await Promise.all(keys.map((key) => records.read(key)))).map((stored) => stored?.version ?? '')
    const begun = wire.requests
    const later = Date.now() + 3 * 24 * 60 * 60_000
    const answers = await Promise.all(
      keys.map((key, n) => records.touch(key, later, n === 7 ? newVersion() : (versions[n] as string))),
    )
    expect(answers).toEqual(ids.map((_, n) => n !== 7))
    expect(wire.requests - begun).toBe(2)
    const expiries = await Promise.all(keys.map(async (key) => (await records.read(key))?.record.expiresAt === later))
    expect(expiries).toEqual(answers)
  })

  test.each([0, 1, 30, 1000])('have each their own answer, though only %i bytes of the answer came', async (bytes) => {
    const { wire, store, sessions } = await atWire()
    wire.cut(bytes)
    expect(await Promise.all(ids.map((id) => store.get(id)))).toEqual(sessions)
    wire.cut(bytes)
    expect(await changeAll(store, sessions, bytes)).toEqual(ids.map(() => true))
    expect(wire.connections).toBe(3)
    expect(await Promise.all(ids.map((id) => store.get(id)))).toEqual(changed(bytes))
  })

  test('meet what others did meanwhile each by itself', async () => {
    const { store, sessions, other } = await atWire()
    await other.set('id3', { ...(await other.get('id3')), theirs: 1 })
    await other.destroy('id5')
    await changeAll(store, sessions, 1)
    const found = await Promise.all(ids.map((id) => store.get(id)))
    expect(found[3]).toMatchObject({ theirs: 1, more: 1 })
    expect(found[5]).toBeNull()
    for (const [n, session] of found.entries()) if (n !== 3 && n !== 5) expect(session).toEqual(changed(1)[n])
  })

  test('after all sessions were cleared elsewhere find nothing, and bring nothing back', async () => {
    const { store, sessions, other } = await atWire()
    await other.clear()
    await changeAll(store, sessions, 1)
    expect(await Promise.all(ids.map((id) => store.get(id)))).toEqual(ids.map(() => null))
  })

  test('suffer nothing from one among them that the server refuses', async () => {
    const server = await testServer('-I', '4k', '-o', 'slab_chunk_max=4096')
    const store = testStore([server])
    const records = recordsOf(store)
    await records.write('warm', recordOf('{}'))
    const outcomes = await Promise.allSettled(
      ['a', 'b', 'c'].map((key) => records.write(key, recordOf(key === 'b' ? 'b'.repeat(8000) : key))),
    )
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(outcomes[1]).toMatchObject({ reason: { code: 'SESSION_TOO_LARGE' } })
    expect((await records.read('c'))?.record.data).toBe('c')
  })
})

describe.skipIf(noMemcached)('a server that dies with a batch under way', () => {
  test('of three: each call has its own right answer, and what is acknowledged on the others is there', async () => {
    const servers = await Promise.all([testServer(), testServer(), testServer()])
    const store = testStore(servers, { timeout: 1000 })
    const place = ringOf(servers.map(({ address }) => address))
    const isOnVictim = ids.map((id) => place(keyOf(id)) === 1)
    for (let round = 0; round < 3; round += 1) {
      const sessions = await sessionsIn(store)
      const [acknowledged] = await Promise.all([changeAll(store, sessions, round), servers[1]?.kill()])
      expect(ids.filter((_, n) => !isOnVictim[n] && !acknowledged[n])).toEqual([])
      await servers[1]?.start()
      await expect.poll(() => Promise.all(ids.map((id) => store.get(id))).then(() => 'back', String)).toBe('back')
      const found = await Promise.all(ids.map((id) => store.get(id)))
      for (const [n, session] of found.entries()) {
        if (!isOnVictim[n]) expect(session).toEqual(changed(round)[n])
        else if (session !== null) expect(session, 'written after the restart').toEqual(changed(round)[n])
      }
    }
  })

  test('and is only frozen: what was acknowledged before and after is there', async () => {
    const server = await testServer()
    const store = testStore([server], { timeout: 400 })
    const sessions = await sessionsIn(store)
    const first = changeAll(store, sessions, 1)
    await server.pause()
    const acknowledged = await first
    const reads = await Promise.allSettled(ids.map((id) => store.get(id)))
    for (const read of reads) expect(read).toMatchObject({ reason: unavailable })
    server.resume()
    await expect.poll(() => store.ping().catch((error) => error.message)).toBeUndefined()
    const found = await Promise.all(ids.map((id) => store.get(id)))
    for (const [n, session] of found.entries()) if (acknowledged[n]) expect(session).toEqual(changed(1)[n])
    // Of those that got no answer, each may have been changed or not, and nothing in between.
    for (const [n, session] of found.entries()) {
      if (session?.more === undefined && session !== null) expect(session).toMatchObject({ text: ids[n] })
    }
  })
})
