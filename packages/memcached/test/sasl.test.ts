import { execFileSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dataFolder, freePort, removeFolder } from '@session-stores/testing'
import { MemcachedServer } from '@session-stores/testing/memcached'
import { findProgram } from '@session-stores/testing/unprivileged'
import { describe, expect, onTestFinished, test } from 'vitest'
import { MemcachedStore } from '../src/index.ts'
import { noMemcached, testClient, testServer, unavailable } from './setup.ts'

const noSasl = noMemcached || process.env.SKIP_SASL === '1'

/** A server that wants to know who is there. */
async function saslServer(): Promise<MemcachedServer> {
  const folder = dataFolder('memcached-sasl')
  onTestFinished(() => removeFolder(folder))
  const file = join(folder, 'users')
  const folders = ['/usr/sbin', '/{opt/homebrew,usr/local}/opt/cyrus-sasl/sbin']
  const saslpasswd = findProgram('saslpasswd2', folders) ?? 'saslpasswd2'
  execFileSync(saslpasswd, ['-p', '-c', '-f', file, '-a', 'memcached', '-u', 'tests', 'ada'], {
    input: 'secret',
  })
  writeFileSync(join(folder, 'memcached.conf'), `mech_list: plain\nsasldb_path: ${file}\n`)
  for (const path of [folder, file]) chmodSync(path, 0o755)
  const server = new MemcachedServer(await freePort(), ['-S'], { ...process.env, SASL_CONF_PATH: folder })
  onTestFinished(() => server.kill())
  await server.start()
  return server
}

describe.skipIf(noSasl)('a server with SASL', () => {
  const username = 'ada@tests'

  test('keeps sessions for those who log in, also after a restart', async () => {
    const server = await saslServer()
    const store = new MemcachedStore({ client: testClient([server], { username, password: 'secret' }) })
    for (let round = 0; round < 2; round += 1) {
      await Promise.all(Array.from({ length: 20 }, (_, n) => store.set(`id${n}`, { n })))
      expect(await store.get('id7')).toMatchObject({ n: 7 })
      await server.kill()
      await expect(store.get('id7')).rejects.toMatchObject(unavailable)
      await server.start()
    }
  })

  test.each([
    ['a wrong password', { username, password: 'wrong' }],
    ['no password', {}],
  ])('answers %s with a 503 that says so, each time', async (_, options) => {
    const store = new MemcachedStore({ client: testClient([await saslServer()], options) })
    for (let n = 0; n < 3; n += 1) {
      await expect(store.get('id')).rejects.toMatchObject({
        ...unavailable,
        cause: { message: 'Memcached server authentication failed!' },
      })
    }
  })
})

test.skipIf(noMemcached)('a server without SASL does not mind a client with a password', async () => {
  const store = new MemcachedStore({
    client: testClient([await testServer()], { username: 'ada', password: 'secret' }),
  })
  await store.set('id', { a: 1 })
  expect(await store.get('id')).toMatchObject({ a: 1 })
})
