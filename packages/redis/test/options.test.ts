import { RedisServer } from '@session-stores/testing/redis'
import { afterAll, expect, test } from 'vitest'
import { RedisStore } from '../src/index.ts'
import { ioredis } from './drivers.ts'

const server = await RedisServer.start()
afterAll(() => server.stop())
const client = ioredis.redis(server)

function refused(options: unknown): string {
  try {
    new RedisStore(options as never)
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    return (error as Error).message
  }
  return 'accepted'
}

test('a wrong option is refused by name', () => {
  expect(refused(undefined)).toBe('options must be an object; got undefined')
  for (const wrong of [undefined, null, 'redis://127.0.0.1', {}, { get() {}, set() {} }]) {
    expect(refused({ client: wrong })).toMatch(
      /^client must be a Redis or Cluster of ioredis, such as new Redis\(url\); got /,
    )
  }
  for (const wrong of ['', 5, null, ['a']]) {
    expect(refused({ client, prefix: wrong })).toMatch(/^prefix must be a non-empty string; got /)
  }
  expect(refused({ client, ttl: '1 day' })).toMatch(/^ttl must be /)
  expect(refused({ client, timeout: 0 })).toMatch(/^timeout must be /)
  expect(refused({ client, now: 5 })).toMatch(/^now must be /)
  expect(refused({ client, Prefix: 'a' })).toMatch(/^unknown option 'Prefix': there are client, prefix, /)
  expect(refused({ url: 'redis://127.0.0.1' })).toBe("unknown option 'url': here it is client, a client of ioredis")
  expect(refused({ client, prefix: 'a', ttl: 1000 })).toBe('accepted')
})

test.each([
  ['ttl', () => 86_400, 'ttl must be a whole number of ms from 1 to 9007199254740991; got a function'],
  ['disableTTL', true, "unknown option 'disableTTL': here it is ttl, in ms"],
  ['disableTouch', true, "unknown option 'disableTouch': here it is touchInterval, in ms"],
  ['scanCount', 100, "unknown option 'scanCount': here it is not needed"],
  ['serializer', JSON, 'accepted'],
  ['prefix', 'myapp:', 'accepted'],
])('an option of connect-redis works or is told by its name here: %s', (name, value, answer) => {
  expect(refused({ client, [name]: value })).toBe(answer)
})

test('no message shows what came, for it may hold a password', () => {
  const secret = 'the-password'
  const url = `redis://:${secret}@127.0.0.1`
  expect(refused(url)).toBe('options must be an object; got a string')
  expect(refused({ client: url })).toBe(
    'client must be a Redis or Cluster of ioredis, such as new Redis(url); got a string',
  )
  expect(refused({ client: { options: { password: secret } } })).toMatch(/; got an object$/)
  expect(refused({ client: [secret] })).toMatch(/; got an array$/)
  class Client {
    status = secret
  }
  expect(refused({ client: new Client() })).toMatch(/; got an object$/)
  expect(refused({ client, prefix: { password: secret } })).toMatch(/; got an object$/)
  const replica = ioredis.redis(server, { password: secret, lazyConnect: true, role: 'slave' })
  expect(refused({ client: replica })).not.toContain(secret)
})

test('a client that reads from replicas is refused', () => {
  const lazyConnect = true
  for (const scaleReads of ['slave', 'all', () => []]) {
    expect(refused({ client: ioredis.cluster([server.address], { scaleReads, lazyConnect }) })).toMatch(
      /^client must read from masters, but was made with scaleReads/,
    )
  }
  const sentinels = [{ host: '127.0.0.1', port: 1 }]
  expect(refused({ client: ioredis.redis(server, { sentinels, name: 'x', role: 'slave', lazyConnect }) })).toMatch(
    /^client must read from masters, but was made with role: 'slave'/,
  )
  expect(refused({ client: ioredis.cluster([server.address], { scaleReads: 'master', lazyConnect }) })).toBe('accepted')
})

test('the caller’s options stay as they are, and the client gets no new command', () => {
  const options = Object.freeze({ client, prefix: 'a:', ttl: 1000 })
  const before = Object.keys(client).sort()
  new RedisStore(options)
  expect(Object.keys(client).sort()).toEqual(before)
})
