import { describe, expect, test } from 'vitest'
import { freshPrefix, noMemcached, patientStore, recordOf, recordsOf, useServers } from './setup.ts'

describe.skipIf(noMemcached)('64 writers at once on one session', () => {
  const servers = useServers(1)
  const names = Array.from({ length: 64 }, (_, n) => `key${n}`)

  test.each([1, 8, 64])('through %d clients, as of so many processes: nothing is lost', async (processes) => {
    const prefix = freshPrefix()
    const stores = Array.from({ length: processes }, () => patientStore(servers(), { prefix }))
    const storeOf = (n: number) => stores[n % processes] as (typeof stores)[0]
    await storeOf(0).set('id', { user: 1 })
    const loaded = await Promise.all(names.map((_, n) => storeOf(n).get('id')))
    await Promise.all(names.map((name, n) => storeOf(n).set('id', { ...loaded[n], [name]: n })))
    const { user, ...rest } = JSON.parse(JSON.stringify(await storeOf(1).get('id')))
    expect(rest).toEqual(Object.fromEntries(names.map((name, n) => [name, n])))
    expect(user).toBe(1)
  })

  test('of 64 who replace one version, one succeeds, also when others touch it meanwhile', async () => {
    const prefix = freshPrefix()
    const backends = Array.from({ length: 16 }, () => recordsOf(patientStore(servers(), { prefix })))
    const backendOf = (n: number) => backends[n % 16] as (typeof backends)[0]
    let touched = 0
    for (let round = 0; round < 20; round += 1) {
      const key = `key${round}`
      const first = recordOf('first')
      const version = await backendOf(0).write(key, first)
      await Promise.all(backends.slice(0, 8).map((backend) => backend.read(key)))
      const touches = names.map((_, n) => backendOf(n).touch(key, first.expiresAt + n + 1, version))
      await Promise.race(touches)
      const replaces = names.map((name, n) => backendOf(n).replace(key, recordOf(name, 120_000), version))
      const answers = await Promise.all(replaces)
      touched += (await Promise.all(touches)).filter((done) => done).length
      const winners = names.filter((_, n) => answers[n] !== 'conflict' && answers[n] !== 'missing')
      expect(winners.length).toBe(1)
      expect((await backendOf(1).read(key))?.record.data).toBe(winners[0])
    }
    expect(touched).toBeGreaterThan(0)
  })
})
