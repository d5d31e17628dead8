import { newVersion } from '@session-stores/core'
import { RedisServer } from '@session-stores/testing/redis'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { RedisStore } from '../src/index.ts'
import { drivers, freshPrefix } from './drivers.ts'
import { FaultyProxy } from './proxy.ts'

const server = await RedisServer.start('--appendonly', 'yes', '--appendfsync', 'always')
afterAll(() => server.stop())

const ids = Array.from({ length: 50 }, (_, n) => `id${n}`)
const userOf = ({ user }: { user?: string }) => user

describe.each(drivers)('$name: the calls of one turn', ({ redis }) => {
  function open({ port = server.port, prefix = freshPrefix() } = {}) {
    const client = redis({ port })
    return new RedisStore({ client, prefix, userOf, touchInterval: 0 })
  }

  /** Changes all sessions at once: every fifth is destroyed. Answers which changes were acknowledged. */
  async function changeAll(store: RedisStore, sessions: object[], more: number): Promise<boolean[]> {
    const changes = ids.map((id, n) => (n % 5 === 4 ? store.destroy(id) : store.set(id, { ...sessions[n], more })))
    const outcomes = await Promise.allSettled(changes)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ statusCode: 503 })
    }
    return outcomes.map(({ status }) => status === 'fulfilled')
  }

  test('are few commands, whoever’s sessions they are', async () => {
    const store = open()
    await Promise.all(ids.map((id, n) => store.set(id, n % 2 ? { user: `user${n % 4}` } : {})))
    await server.cli('CONFIG', 'RESETSTAT')
    const sessions = await Promise.all(ids.map((id) => store.get(id)))
    await Promise.all(ids.map((id, n) => store.set(id, { ...sessions[n], more: 1 })))
    const stats = await server.cli('INFO', 'commandstats')
    expect(Number(/cmdstat_mget:calls=(\d+)/.exec(stats)?.[1])).toBeLessThan(4)
    expect(stats).not.toMatch(/cmdstat_get:/)
    expect(Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1])).toBeLessThan(4)
    expect(await store.listByUser('user1')).toHaveLength(13)
    expect((await store.listByUser('user3')).every(({ session }) => session.more === 1)).toBe(true)
  })

  test('each have their own answer, though the answer to their command was lost', async () => {
    const proxy = await FaultyProxy.to(server)
    onTestFinished(() => proxy[Symbol.asyncDispose]())
    const store = open({ port: proxy.port })
    await Promise.all(ids.map((id) => store.set(id, { user: 'ada' })))
    const sessions = await Promise.all(ids.map((id) => store.get(id)))
    proxy.loseAnswerTo('evalsha')
    expect(await changeAll(store, sessions, 1)).toEqual(ids.map(() => true))
    expect(proxy.hasLostAnswer).toBe(true)
    const found = await Promise.all(ids.map((id) => store.get(id)))
    expect(found.map((session) => session?.more)).toEqual(ids.map((_, n) => (n % 5 === 4 ? undefined : 1)))
    expect(await store.listByUser('ada')).toHaveLength(40)
  })

  test('lose nothing that was acknowledged, when the server dies among them', async () => {
    const store = open()
    for (let round = 0; round < 3; round += 1) {
      await Promise.all(ids.map((id) => store.set(id, { user: 'ada', more: -1 })))
      const sessions = await Promise.all(ids.map((id) => store.get(id)))
      const [acknowledged] = await Promise.all([changeAll(store, sessions, round), server.kill()])
      await server.start()
      await expect.poll(() => store.ping().catch((error) => error.message)).toBeUndefined()
      const found = await Promise.all(ids.map((id) => store.get(id)))
      for (const [n, session] of found.entries()) {
        if (acknowledged[n]) expect(session?.more, `id${n}`).toBe(n % 5 === 4 ? undefined : round)
      }
      const listed = (await store.listByUser('ada')).map(({ handle }) => handle).sort()
      const there = ids.filter((_, n) => found[n] !== null).map((id) => store.handleOf(id))
      expect(listed, 'who lives is listed').toEqual(there.sort())
    }
  })

  test('suffer nothing from one among them that the server refuses', async () => {
    const prefix = freshPrefix()
    const { backend } = open({ prefix })
    const keys = ['a', 'b', 'c'].map((letter) => letter.repeat(43)) as [string, string, string]
    const record = { data: '{}', createdAt: 1, expiresAt: Date.now() + 60_000, userId: 'ada' }
    const version = newVersion()
    await Promise.all(keys.map((key) => backend.write(key, record, version)))
    await server.cli('DEL', prefix + keys[1])
    await server.cli('LPUSH', prefix + keys[1], 'a list')
    const answers = await Promise.allSettled(keys.map((key) => backend.replace(key, record, newVersion(), version)))
    expect(answers).toMatchObject([
      { value: 'replaced' },
      { reason: { statusCode: 503, cause: { message: expect.stringMatching(/^WRONGTYPE /) } } },
      { value: 'replaced' },
    ])
  })
})
