import { once } from 'node:events'
import { connect } from 'node:net'
import type { Finding } from '@session-stores/core'
import { until } from '@session-stores/testing'
import type { MemcachedServer } from '@session-stores/testing/memcached'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { MemcachedStore } from '../src/index.ts'
import { noMemcached, patientStore, testServer, testStore } from './setup.ts'

/** In short. */
async function findingsOf(store: MemcachedStore): Promise<string[]> {
  return (await store.check()).map(({ severity, what }: Finding) => `${severity}: ${what}`)
}

/** Until the test ends. */
async function openConnections({ port }: MemcachedServer, count: number): Promise<void> {
  const sockets = Array.from({ length: count }, () => connect(port, '127.0.0.1').on('error', () => {}))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
  })
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
}

describe.skipIf(noMemcached)('check finds', () => {
  test('nothing on servers that are as they come', async () => {
    expect(await findingsOf(testStore([await testServer(), await testServer()]))).toEqual([])
  })

  test('evictions since the start', async () => {
    const server = await testServer('-m', '8')
    const store = patientStore([server])
    await until('something was evicted', async () => {
      await Promise.all(Array.from({ length: 50 }, () => store.set(`${Math.random()}`, { text: 'x'.repeat(60_000) })))
      return (await server.stat('evictions')) > 0
    })
    expect(await findingsOf(store)).toEqual([
      expect.stringMatching(`^error: ${server.address} has evicted \\d+ items since it started 1 h ago$`),
    ])
  })

  test('that nearly all connections are in use, and that some were refused', async () => {
    const server = await testServer('-c', '200')
    const store = testStore([server])
    expect(await findingsOf(store)).toEqual([])
    await openConnections(server, 165)
    const what = `${server.address} has \\d+ connections open, of 200 at most`
    await expect.poll(() => findingsOf(store)).toEqual([expect.stringMatching(`^warning: ${what}$`)])
    await openConnections(server, 40)
    const refused = `^error: ${what}, and has refused \\d+ since it started$`
    await expect.poll(() => findingsOf(store)).toEqual([expect.stringMatching(refused)])
  })

  test('items that are smaller than a session may be', async () => {
    const server = await testServer('-I', '64k', '-o', 'slab_chunk_max=65536')
    const warned = (bytes: string) => [
      expect.stringMatching(
        `^warning: ${server.address} has room for about 65\\d{3} bytes in an item, and by maxBytes a session may need ${bytes}$`,
      ),
    ]
    expect(await findingsOf(testStore([server]))).toEqual(warned('65536'))
    expect(await findingsOf(testStore([server], { maxBytes: 60_000 }))).toEqual([])
    // Sealed, they are a third larger.
    const encryptionKeys = [Buffer.alloc(32, 1)]
    expect(await findingsOf(testStore([server], { maxBytes: 60_000, encryptionKeys }))).toEqual(warned('80\\d{3}'))
  })

  test('a server of several that is down', async () => {
    const [first, second] = [await testServer(), await testServer()]
    const store = testStore([first, second], { timeout: 500 })
    await second.kill()
    expect(await findingsOf(store)).toEqual([
      `error: ${second.address} cannot be asked: connect ECONNREFUSED ${second.address}`,
    ])
    await first.kill()
    await expect(store.check()).rejects.toMatchObject({ code: 'SESSION_STORE_UNAVAILABLE' })
  })
})
