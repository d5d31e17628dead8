import { expect, test } from 'vitest'
import { noMemcached, patientStore, testClient, testServer } from './setup.ts'

test.skipIf(noMemcached)(
  '100 MB of sessions into a server of 64 MB: what it evicts is gone, all else is whole',
  async () => {
    const server = await testServer('-m', '64')
    const store = patientStore([server])
    const other = patientStore([server])
    // Sessions of 1 to 40 KB, 11,000 of them: the server sorts them into some thirty classes of sizes.
    const count = 11_000
    const textOf = (n: number) => `${n}.`.repeat(1 + ((n * 7919) % 4000)).slice(0, 40_000)
    let bytes = 0
    const inUse = Array.from({ length: 50 }, (_, n) => n * 3)
    for (let begin = 0; begin < count; begin += 50) {
      await Promise.all(
        Array.from({ length: 50 }, async (_, k) => {
          const n = begin + k
          const text = textOf(n)
          bytes += text.length
          await store.set(`id${n}`, { n, text })
        }),
      )
      // Some sessions are used all the time, as real ones are, and saved when they are there.
      await Promise.all(
        inUse.map(async (n) => {
          const session = await other.get(`id${n}`)
          if (session) await other.set(`id${n}`, { ...session, begin })
        }),
      )
    }
    expect(bytes).toBeGreaterThan(100_000_000)
    expect(await server.stat('evictions')).toBeGreaterThan(1000)

    let [here, gone] = [0, 0]
    for (let n = 0; n < count; n += 1) {
      const session = await other.get(`id${n}`)
      if (session === null) {
        gone += 1
        continue
      }
      here += 1
      if (session.text !== textOf(n) || session.n !== n) throw new Error(`session ${n} is torn`)
    }
    expect(gone, 'evicted sessions').toBeGreaterThan(1000)
    expect(here, 'the generation was not evicted: it is used all the time').toBeGreaterThan(2000)
    // And an evicted session does not come back by a request that still has it.
    const lost = []
    for (let n = 0; n < count && lost.length < 20; n += 1) if ((await store.get(`id${n}`)) === null) lost.push(n)
    for (const n of lost) {
      await store.set(`id${n}`, { n, text: 'new' })
      expect(await other.get(`id${n}`)).toMatchObject({ n, text: 'new' })
    }
  },
)

test.skipIf(noMemcached)(
  'small items of other applications push sessions out, but not the generation of those in use',
  async () => {
    const server = await testServer('-m', '8')
    const store = patientStore([server])
    const client = testClient([server])
    await store.set('in use', { a: 1 })
    // As large as the item with the generation, so the server keeps them in the same place.
    for (let begin = 0; begin < 200_000; begin += 500) {
      await Promise.all(Array.from({ length: 500 }, (_, k) => client.set(`foreign${begin + k}`, '0123456789', {})))
      expect(await store.get('in use')).toMatchObject({ a: 1 })
    }
    expect(await server.stat('evictions')).toBeGreaterThan(50_000)
  },
)
