import { execFileSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dataFolder, freePort, removeFolder } from '@session-stores/testing'
import { MemcachedServer } from '@session-stores/testing/memcached'
import { findProgram } from '@session-stores/testing/unprivileged'
import { describe, expect, onTestFinished, test } from 'vitest'
import { noMemcached, testClient, testServer, testStore, unavailable } from './setup.ts'

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
    const store = testStore([], { client: testClient([server], { username, password: 'secret' }) })
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
    const store = testStore([], { client: testClient([await saslServer()], options) })
    for (let n = 0; n < 3; n += 1) {
      await expect(store.get('id')).rejects.toMatchObject({
        ...unavailable,
        cause: { message: expect.stringContaining('refused the log-in: check the username and password') },
      })
    }
  })
})

test.skipIf(noSasl)('the client’s credentials are read for each connection', async () => {
  const client = testClient([await saslServer()], { username: 'ada@tests', password: 'wrong' })
  const store = testStore([], { client })
  await expect(store.set('id', { a: 1 })).rejects.toMatchObject(unavailable)
  for (const server of client.servers) Object.assign(server, { password: 'secret' })
  await store.set('id', { a: 1 })
  expect(await store.get('id')).toMatchObject({ a: 1 })
})

test.skipIf(noMemcached)('a server without SASL does not mind a client with a password', async () => {
  const client = testClient([await testServer()], { username: 'ada', password: 'secret' })
  const store = testStore([], { client })
  await store.set('id', { a: 1 })
  expect(await store.get('id')).toMatchObject({ a: 1 })
})
