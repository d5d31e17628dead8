import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { dataFolder, removeFolder, ServerProcess, until } from '@session-stores/testing'
import { Client, Server } from 'memjs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { MemcachedStore } from '../src/index.ts'
import { noMemcached, recordOf, recordsOf, testClient, testServer, testStore, testWire, unavailable } from './setup.ts'

describe.skipIf(noMemcached)('the store’s own connection', () => {
  test('is one, opened by the first request; requests share it', async () => {
    const wire = await testWire(await testServer())
    const store = testStore([wire])
    expect(wire.connections).toBe(0)
    const ids = Array.from({ length: 50 }, (_, n) => `id${n}`)
    await Promise.all(ids.map((id) => store.set(id, { id })))
    for (const session of await Promise.all(ids.map((id) => store.get(id)))) expect(session).not.toBeNull()
    expect(wire.connections).toBe(1)
  })

  test('is not the client’s, which is as before and stays open', async () => {
    const wire = await testWire(await testServer())
    const client = testClient([wire])
    const own = { ...client.options }
    const store = testStore([wire], { client })
    const rounds = Array.from({ length: 200 }, async (_, n) => {
      await Promise.all([client.set(`key${n}`, `value${n}`, {}), store.set(`id${n}`, { n })])
      const [found, session] = await Promise.all([client.get(`key${n}`), store.get(`id${n}`)])
      expect(`${found.value}`).toBe(`value${n}`)
      expect(session).toMatchObject({ n })
    })
    await Promise.all(rounds)
    expect(wire.connections, 'the client’s and the store’s').toBe(2)
    await store.close()
    expect(`${(await client.get('key7')).value}`).toBe('value7')
    expect(client.options).toEqual(own)
    expect(Object.keys(client).sort()).toEqual(['options', 'seq', 'serializer', 'servers'])
  })

  test('is closed by close(), and none is opened after it', async () => {
    const server = await testServer()
    const store = testStore([server])
    const before = await server.stat('curr_connections')
    await store.set('id', { a: 1 })
    expect(await server.stat('curr_connections')).toBe(before + 1)
    await server.pause()
    const waiting = store.get('id')
    waiting.catch(() => {})
    await store.close()
    server.resume()
    await expect(waiting).rejects.toMatchObject(unavailable)
    await until('it is closed', async () => (await server.stat('curr_connections')) === before)
    await expect(store.get('id')).rejects.toMatchObject({ code: 'SESSION_STORE_CLOSED' })
  })

  test('that the server closes while nobody uses it is not noticed', async () => {
    const server = await testServer('-o', 'idle_timeout=1')
    const store = testStore([server])
    await store.set('id', { a: 1 })
    await until('the server has closed it', async () => (await server.stat('idle_kicks')) === 1)
    expect(await store.get('id')).toMatchObject({ a: 1 })
  })

  test('that died without a word costs the calls on it, and is replaced', async () => {
    const wire = await testWire(await testServer())
    const store = testStore([wire], { timeout: 1000 })
    await store.set('id', { a: 1 })
    for (let round = 0; round < 3; round += 1) {
      wire.silence()
      await expect(store.get('id')).rejects.toMatchObject(unavailable)
      await until('it is replaced', async () => (await store.get('id'))?.a === 1)
      expect(wire.connections).toBeGreaterThan(round + 1)
    }
  })

  test('that died without a word: calls sent shortly before that was noticed are sent again', async () => {
    const wire = await testWire(await testServer())
    const store = testStore([wire], { timeout: 3000 })
    await store.set('id', { a: 1 })
    wire.silence()
    const first = store.get('id').catch((error) => error)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    const second = store.get('id')
    expect(await first).toMatchObject(unavailable)
    expect(await second).toMatchObject({ a: 1 })
  })

  test('over which a call got no answer in the short time it had is not trusted with the next one', async () => {
    const wire = await testWire(await testServer())
    const store = testStore([wire])
    await store.set('id', { a: 1 })
    wire.silence()
    await expect(store.backend.read('key', { deadline: performance.now() + 200 })).rejects.toMatchObject(unavailable)
    expect(await store.backend.read('key', { deadline: performance.now() + 1000 })).toBeUndefined()
    expect(wire.connections).toBe(2)
  })

  test('late answers never reach another request', async () => {
    const wire = await testWire(await testServer())
    const store = testStore([wire], { timeout: 200 })
    const ids = Array.from({ length: 40 }, (_, n) => `id${n}`)
    await Promise.all(ids.map((id) => store.set(id, { id })))
    let [answered, late] = [0, 0]
    for (let round = 0; round < 20; round += 1) {
      // At times longer than the requests are waited for.
      wire.delay = [0, 60, 130, 10][round % 4] as number
      await Promise.all(
        ids.map(async (id) => {
          try {
            expect(await store.get(id)).toMatchObject({ id })
            answered += 1
          } catch (error) {
            expect(error).toMatchObject(unavailable)
            late += 1
          }
        }),
      )
    }
    expect(answered).toBeGreaterThan(ids.length)
    expect(late).toBeGreaterThan(ids.length)
  })

  test.each([
    ['a replace', 0, (late: Records, first: string) => late.replace('key', recordOf('late'), first)],
    ['a touch', 1, (late: Records, first: string) => late.touch('key', Date.now() + 90_000, first)],
    ['a write', 2, (late: Records) => late.write('key', recordOf('late'))],
  ])('%s whose last step was given up before it arrived changes nothing newer', async (_, steps, act) => {
    const server = await testServer()
    const wire = await testWire(server)
    const late = recordsOf(testStore([wire], { timeout: 300 }))
    const records = recordsOf(testStore([server]))
    const first = await records.write('key', recordOf('first'))
    await late.read('key')
    const release = wire.hold(steps)
    await expect(act(late, first)).rejects.toMatchObject(unavailable)
    const second = await records.replace('key', recordOf('second'), first)
    const before = await server.stat('cmd_set')
    release()
    await until('it has arrived', async () => (await server.stat('cmd_set')) > before)
    expect(await records.read('key')).toMatchObject({ record: { data: 'second' }, version: second })
  })

  test('a server that takes no more connections is unavailable, and used again when it does', async () => {
    const server = await testServer('-c', '20')
    const store = testStore([server], { timeout: 500 })
    const sockets: Socket[] = []
    const isRefused = () =>
      new Promise<boolean>((resolve) => {
        const socket = connect(server.port, '127.0.0.1')
        sockets.push(socket)
        socket.write('version\r\n')
        socket.on('data', (answer) => resolve(!`${answer}`.startsWith('VERSION')))
        for (const event of ['error', 'close']) socket.on(event, () => resolve(true))
      })
    for (let refused = 0; refused < 5; ) refused = (await isRefused()) ? refused + 1 : 0
    for (let n = 0; n < 3; n += 1) await expect(store.get('id')).rejects.toMatchObject(unavailable)
    for (const socket of sockets) socket.destroy()
    await until('there is room again', async () => (await store.get('id').catch(() => undefined)) === null)
  })

  test('a server that is no Memcached is an error that says so', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const store = testStore([{ address: `127.0.0.1:${port}` }], { timeout: 500 })
    await expect(store.get('id')).rejects.toMatchObject({
      ...unavailable,
      cause: {
        message: expect.stringContaining(
          `127.0.0.1:${port} cannot be understood: it does not speak the binary protocol`,
        ),
      },
    })
  })
})

type Records = ReturnType<typeof recordsOf>

describe.skipIf(noMemcached)('servers that memjs knows only when they are made by hand', () => {
  test('IPv6', async () => {
    const server = await testServer('-l', '::1')
    const store = new MemcachedStore({ client: new Client([new Server('::1', server.port)]) })
    onTestFinished(() => store.close())
    await store.set('id', { a: 1 })
    expect(await store.get('id')).toMatchObject({ a: 1 })
  })

  test('a socket in the file system', async () => {
    const folder = dataFolder('memcached-socket')
    onTestFinished(() => removeFolder(folder))
    const path = join(folder, 'memcached.sock')
    const user = process.getuid?.() === 0 ? ['-u', 'root'] : []
    const server = new ServerProcess('memcached', ['-s', path, ...user])
    onTestFinished(() => server.stop('SIGKILL'))
    const store = new MemcachedStore({ client: new Client([new Server('', path as never)]) })
    onTestFinished(() => store.close())
    await until('the server is there', () => store.ping().then(() => true))
    await store.set('id', { a: 1 })
    server.pause()
    const waiting = store.get('id')
    server.resume()
    expect(await waiting).toMatchObject({ a: 1 })
    await server.stop('SIGKILL')
    await expect(store.get('id')).rejects.toMatchObject(unavailable)
  })
})

describe.skipIf(noMemcached)('a process with a store ends by itself', () => {
  test.each([
    ['that was never used', ''],
    ['that was used and closed', "await store.set('id', { a: 1 }); await store.close()"],
    ['that was used and not closed', "await store.set('id', { a: 1 })"],
  ])('%s', async (_, use) => {
    const server = await testServer()
    const script = `
      import { Client } from 'memjs'
      import { MemcachedStore } from '@session-stores/memcached'
      const store = new MemcachedStore({ client: Client.create('${server.address}') })
      ${use}
      process.on('exit', () => console.log('ended'))`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: import.meta.dirname,
      timeout: 20_000,
    })
    expect(stdout).toBe('ended\n')
  })
})
