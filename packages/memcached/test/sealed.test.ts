import { expectSealed } from '@session-stores/testing'
import { describe, test } from 'vitest'
import { MemcachedStore } from '../src/index.ts'
import { noMemcached, testClient, testServer } from './setup.ts'

describe.skipIf(noMemcached)('sealed sessions', () => {
  test('no word of them is in what Memcached holds', async () => {
    const server = await testServer()
    const client = testClient([server])
    const items = async () => {
      const keys = await server.keys()
      return (await Promise.all(keys.map((key) => server.ask(`get ${key}`)))).join('\n')
    }
    await expectSealed((options) => new MemcachedStore({ client, ...options }), items)
  })
})
