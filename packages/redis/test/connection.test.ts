import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { RedisClusterServers, RedisServer } from '@session-stores/testing/redis'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { RedisStore } from '../src/index.ts'
import { drivers, freshPrefix } from './drivers.ts'

const server = await RedisServer.start()
const servers = await RedisClusterServers.start()
afterAll(() => Promise.all([server.stop(), servers.stop()]))

/** A server on which nobody else is. */
async function startServer(...options: string[]): Promise<RedisServer> {
  const own = await RedisServer.start(...options)
  onTestFinished(() => own.stop())
  return own
}

/** How many connections a server has, but the one that asks. */
async function connectionsTo(to: RedisServer): Promise<number> {
  return Number(/connected_clients:(\d+)/.exec(await to.cli('INFO', 'clients'))?.[1]) - 1
}

const isClosed = { statusCode: 503, cause: { message: 'Connection is closed.' } }

describe.each(drivers)('$name: a connection of the store’s own', ({ redis, cluster }) => {
  test('is opened at the first use, shared by the stores of a client, and closed by the last one', async () => {
    const own = await startServer()
    const client = redis(own)
    await client.ping()
    const [first, second] = [new RedisStore({ client }), new RedisStore({ client, prefix: 'other:' })]
    expect(await connectionsTo(own)).toBe(1)
    await Promise.all([first.set('id', {}), second.set('id', {})])
    expect(await connectionsTo(own)).toBe(2)
    await first.close()
    expect(await second.get('id')).not.toBeNull()
    await second.close()
    await expect.poll(() => connectionsTo(own)).toBe(1)
    expect(await client.ping(), 'the application’s stays open').toBe('PONG')
    const third = new RedisStore({ client })
    expect(await third.get('id')).not.toBeNull()
    await third.close()
  })

  test('in a Cluster, too', async () => {
    const client = cluster(servers.addresses, { lazyConnect: true })
    const total = async () => (await Promise.all(servers.servers.map(connectionsTo))).reduce((sum, n) => sum + n, 0)
    const use = (store: RedisStore) => Promise.all(Array.from({ length: 20 }, (_, n) => store.set(`id${n}`, {})))
    const before = await total()
    const stores = [freshPrefix(), freshPrefix()].map((prefix) => new RedisStore({ client, prefix })) as [
      RedisStore,
      RedisStore,
    ]
    await use(stores[0])
    const withOne = await total()
    expect(withOne).toBeGreaterThanOrEqual(before + 3)
    await use(stores[1])
    expect(await total()).toBe(withOne)
    await stores[0].close()
    expect(await total()).toBe(withOne)
    await stores[1].close()
    await expect.poll(total).toBe(before)
    expect(client.status).toBe('wait')
  })

  test('leaves a client that has not connected as it is', async () => {
    const client = redis(server, { lazyConnect: true })
    const store = new RedisStore({ client, prefix: freshPrefix() })
    await store.set('id', {})
    expect(await store.get('id')).not.toBeNull()
    expect(client.status).toBe('wait')
  })

  test('does not wait for what the application does on its own', async () => {
    const client = redis(server)
    const store = new RedisStore({ client, prefix: freshPrefix() })
    await store.set('id', { a: 1 })
    const list = freshPrefix()
    const popped = client.blpop(list, 0)
    expect(await store.get('id')).toMatchObject({ a: 1 })
    await server.cli('RPUSH', list, 'x')
    await popped
    await client.subscribe('news')
    expect(await store.get('id')).toMatchObject({ a: 1 })
  })

  test('ends with the client', async () => {
    const own = await startServer()
    const client = redis(own)
    const store = new RedisStore({ client })
    await store.set('id', {})
    client.disconnect()
    await expect.poll(() => connectionsTo(own)).toBe(0)
    expect(client.status).toBe('end')
    await expect(store.get('id')).rejects.toMatchObject(isClosed)
    await expect(store.ping()).rejects.toMatchObject(isClosed)
    expect(client.status).toBe('end')
    await client.connect()
    expect(await store.get('id'), 'and is back with it').not.toBeNull()
  })

  test('ends with the Cluster client', async () => {
    const client = cluster(servers.addresses)
    const store = new RedisStore({ client, prefix: freshPrefix() })
    await store.set('id', {})
    await expect.poll(() => client.status).toBe('ready')
    client.disconnect()
    await expect.poll(() => client.status).toMatch(/^(end|close)$/)
    await expect(store.get('id')).rejects.toMatchObject(isClosed)
  })

  test('uses the database, the name and the password of the client', async () => {
    const own = await startServer('--requirepass', 'secret')
    const cli = (...command: string[]) => own.cli('--no-auth-warning', '-a', 'secret', ...command)
    const client = redis(own, { db: 3, password: 'secret', connectionName: 'shop' })
    await client.ping()
    const store = new RedisStore({ client })
    await store.set('id', {})
    expect(await cli('-n', '3', 'DBSIZE')).toBe('1')
    expect((await cli('CLIENT', 'LIST')).match(/name=shop /g)).toHaveLength(2)
  })

  test('is made by the client’s own duplicate()', async () => {
    const client = redis(server, { lazyConnect: true })
    const made: object[] = []
    const duplicate = client.duplicate.bind(client)
    client.duplicate = (...args) => {
      const copy = duplicate(...args)
      made.push(copy)
      return copy
    }
    const store = new RedisStore({ client, prefix: freshPrefix() })
    await store.set('id', {})
    await store.get('id')
    expect(made).toHaveLength(1)
  })

  test('is made with the password that the application has by then', async () => {
    const own = await startServer()
    await own.cli('ACL', 'SETUSER', 'app', 'on', '>old', '~*', '+@all')
    const client = redis(own, { username: 'app', password: 'old' })
    const store = new RedisStore({ client })
    await store.set('id', {})
    await own.cli('ACL', 'SETUSER', 'app', 'resetpass', '>new')
    client.options.password = 'new'
    await own.cli('CLIENT', 'KILL', 'USER', 'app')
    expect(await store.get('id')).not.toBeNull()
  })

  test('in a Cluster, too: with the password of by then', async () => {
    const everywhere = (...command: string[]) => Promise.all(servers.servers.map((each) => each.cli(...command)))
    await everywhere('ACL', 'SETUSER', 'rotated', 'on', '>old', '~*', '+@all')
    const client = cluster(servers.addresses, { redisOptions: { username: 'rotated', password: 'old' } })
    const store = new RedisStore({ client, prefix: freshPrefix() })
    const ids = Array.from({ length: 20 }, (_, n) => `id${n}`)
    await Promise.all(ids.map((id) => store.set(id, {})))
    await everywhere('ACL', 'SETUSER', 'rotated', 'resetpass', '>new')
    Object.assign(client.options.redisOptions ?? {}, { password: 'new' })
    const [one] = await servers.masters()
    await one?.cli('CLIENT', 'KILL', 'USER', 'rotated') // the others stay: the driver sees no need to begin anew
    for (const id of ids) expect(await store.get(id)).not.toBeNull()
  })

  test('needs no way through the client’s settings for its commands', async () => {
    const options = {
      ...{ enableAutoPipelining: true, stringNumbers: true, commandTimeout: 1, maxRetriesPerRequest: null },
      ...{ lazyConnect: true, autoResendUnfulfilledCommands: true, enableOfflineQueue: false, monitor: false },
    }
    for (const client of [redis(server, options), cluster(servers.addresses, { ...options, redisOptions: options })]) {
      const store = new RedisStore({ client, prefix: freshPrefix() })
      const ids = Array.from({ length: 100 }, (_, n) => `id${n}`)
      await Promise.all(ids.map((id) => store.set(id, { id })))
      await Promise.all(ids.map(async (id) => store.set(id, { ...(await store.get(id)), more: true })))
      for (const id of ids) expect(await store.get(id)).toMatchObject({ id, more: true })
      expect(await store.count()).toBe(100)
      await Promise.all(ids.map((id) => store.destroy(id)))
      expect(await store.count()).toBe(0)
    }
  })

  test('closing the store ends its attempts to connect', async () => {
    const own = await startServer()
    const client = redis(own)
    const store = new RedisStore({ client })
    await store.set('id', {})
    await own.kill()
    const answer = expect(store.get('id')).rejects.toMatchObject({ statusCode: 503 })
    await store.close()
    await answer
  })
})

test('a process ends when it has closed its client, though not the store', async () => {
  const program = `
    import { Redis } from 'ioredis'
    import { RedisStore } from '${new URL('../dist/index.js', import.meta.url)}'
    const client = new Redis(${server.port}, '127.0.0.1')
    const store = new RedisStore({ client, prefix: '${freshPrefix()}' })
    await store.set('id', {})
    await client.quit()
    console.log('quit')`
  const cwd = fileURLToPath(new URL('..', import.meta.url))
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { cwd, stdio: 'pipe' })
  onTestFinished(() => {
    child.kill()
  })
  const [code] = await once(child, 'exit')
  expect(code).toBe(0)
})
