import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '@session-stores/testing'
import { RedisServer } from '@session-stores/testing/redis'
import { HOST } from '../app/config.ts'
import type { Fault, Faults, Network, Subject } from '../fault.ts'
import { Fillers } from '../fillers.ts'
import { openerOf } from '../openers.ts'
import { TcpProxy } from '../proxy.ts'
import { SmallDisk } from '../small-disk.ts'
import { networkFaults } from './network.ts'
import { processFaults } from './process.ts'

interface RedisStage extends Network {
  server: RedisServer
  disk: SmallDisk | undefined
}

interface RedisSetup {
  /** Of redis-server's command line. */
  server?: string[]
  password?: string
  /** Keeps its data on a disk of so many MiB. */
  disk?: number
}

type RedisFault = Fault<RedisStage, RedisSetup>

/** Each write is on the disk before it is answered. */
const APPEND_ONLY = ['--appendonly', 'yes', '--appendfsync', 'always']
const DURATION = 5000

const faults: Faults<RedisStage, RedisSetup> = {
  ...networkFaults,
  ...processFaults,
  frozen: {
    what: 'stopped (SIGSTOP) for 5 s',
    async run({ server }) {
      server.pause()
      await sleep(DURATION)
      server.resume()
    },
  },
  killed: {
    what: 'killed (SIGKILL), and back after 3 s with its append-only file (appendfsync always)',
    setup: { server: APPEND_ONLY },
    run: ({ server }) => killFor(server, 3000),
  },
  'killed-without-a-file': {
    what: 'killed (SIGKILL), and back after 3 s, empty',
    run: ({ server }) => killFor(server, 3000),
    expect: { server: 'forgets' },
  },
  'killed-with-a-snapshot': {
    what: 'killed (SIGKILL), and back with a snapshot that is 3 s old',
    async run({ server }) {
      await server.cli('SAVE')
      await sleep(3000)
      await killFor(server, 1000)
    },
    expect: { server: 'goes back', refuses: 'perhaps' },
  },
  restarted: {
    what: 'shut down in good order and started at once, three times',
    setup: { server: APPEND_ONLY },
    async run({ server }) {
      for (let n = 0; n < 3; n += 1) {
        await shutDown(server)
        await server.start()
        await sleep(1000)
      }
    },
    expect: { refuses: 'nothing' },
  },
  loading: {
    what: 'shut down, started again, and loading its data for 4 s',
    async run({ server }) {
      await shutDown(server, 'SAVE')
      await server.start('--key-load-delay', '300000', '--loading-process-events-interval-bytes', '1024')
      await sleep(4000)
      await server.cli('CONFIG', 'SET', 'key-load-delay', '0')
      await until('Redis has loaded its data', async () => (await server.cli('PING')) === 'PONG')
    },
    // ioredis asks a server that is loading only now and then whether it is ready
    expect: { firstWithin: 3000, allWithin: 5000 },
  },
  'out-of-memory': noWrites('maxmemory', '1', '0', 'without memory for writes for 5 s (noeviction)'),
  'too-few-replicas': noWrites('min-replicas-to-write', '1', '0', 'refuses writes for want of replicas for 5 s'),
  'read-only': {
    what: 'a replica, which may only be read, for 5 s',
    options: { touchInterval: 0 },
    async run({ server }) {
      await server.cli('REPLICAOF', '127.0.0.1', '1')
      await sleep(DURATION)
      await server.cli('REPLICAOF', 'NO', 'ONE')
    },
    // Reads are answered, so this is no outage: each change waits for as long as it may, in case a failover ends it.
    expect: { refuses: 'changes', knownOutageWait: 2600 },
  },
  'disk-full': {
    what: 'the disk of its append-only file is full for 5 s (appendfsync everysec: with always, Redis ends itself)',
    needs: 'root',
    setup: { server: ['--appendonly', 'yes', '--appendfsync', 'everysec'], disk: 4 },
    options: { touchInterval: 0 },
    async run({ disk }) {
      disk?.fill()
      await sleep(DURATION)
      disk?.empty()
    },
    expect: { refuses: 'changes' },
  },
  evicting: {
    what: 'the memory is full of other data, and it makes room (allkeys-lru)',
    setup: { server: ['--maxmemory', '4mb', '--maxmemory-policy', 'allkeys-lru'] },
    async run({ server }) {
      await server.cli('EVAL', "for n = 1, 5000 do redis.call('SET', 'other' .. n, string.rep('x', 1000)) end", '0')
      await sleep(2000)
    },
    expect: { refuses: 'nothing', server: 'forgets' },
  },
  flushed: {
    what: 'FLUSHALL',
    async run({ server, forgot }) {
      await server.cli('FLUSHALL')
      forgot()
      await sleep(2000)
    },
    expect: { refuses: 'nothing', server: 'forgets' },
  },
  'scripts-flushed': {
    what: 'SCRIPT FLUSH, every 0.2 s',
    run: ({ server }) => repeat(() => server.cli('SCRIPT', 'FLUSH')),
    expect: { refuses: 'nothing' },
  },
  'clients-killed': {
    what: 'CLIENT KILL of all, every 0.2 s',
    run: ({ server }) => repeat(() => server.cli('CLIENT', 'KILL', 'TYPE', 'normal')),
    expect: { refuses: 'nothing' },
  },
  'clients-paused': {
    what: 'CLIENT PAUSE for 4 s',
    async run({ server }) {
      await server.cli('CLIENT', 'PAUSE', '4000', 'ALL')
      await sleep(4000)
    },
  },
  busy: {
    what: 'a script runs for 5 s, and all others are answered BUSY',
    setup: { server: ['--busy-reply-threshold', '100'] },
    async run({ server }) {
      const script = server.cli('EVAL', 'while true do end', '0').catch(() => {})
      await sleep(DURATION)
      await server.cli('SCRIPT', 'KILL')
      await script
    },
  },
  'password-changed': {
    what: 'the password is another one for 4 s, and all connections are ended',
    setup: { password: 'before' },
    async run({ server }) {
      await server.cli('-a', 'before', 'CONFIG', 'SET', 'requirepass', 'after')
      await server.cli('-a', 'after', 'CLIENT', 'KILL', 'TYPE', 'normal')
      await sleep(4000)
      await server.cli('-a', 'after', 'CONFIG', 'SET', 'requirepass', 'before')
    },
  },
  'too-many-clients': {
    what: 'others have taken all connections (maxclients) for 4 s, and all of ours are reset',
    setup: { server: ['--maxclients', '40'] },
    async run({ server, proxy }) {
      proxy.refuse()
      const fillers = await Fillers.on(server.port, 60)
      await proxy.accept()
      await sleep(4000)
      fillers.close()
    },
  },
}

export const redis: Subject<RedisStage, RedisSetup> = {
  name: 'redis',
  skip: ['SKIP_REDIS'],
  about: `One Redis server. What it has not written to its append-only file it forgets when it is killed, sessions and
log-outs alike; with a snapshot it goes back to that, and log-outs since then have not happened. Under an eviction policy
it drops sessions. Nothing in a client helps against either: see "Persistence and failover" in the store's README.`,
  faults,
  async start({ server: args = [], password, disk: size }) {
    const disk = size === undefined ? undefined : new SmallDisk(size)
    const server = await RedisServer.start(
      ...args,
      ...(password === undefined ? [] : ['--requirepass', password]),
      ...(disk === undefined ? [] : ['--dir', disk.folder]),
    )
    const proxy = await TcpProxy.to(server.port)
    return {
      ...{ server, proxy, disk, opener: openerOf('redis') },
      settings: { host: HOST, port: proxy.port, ...(password !== undefined && { password }) },
      async stop() {
        await proxy.close()
        await server.stop()
        disk?.remove()
      },
    }
  },
}

/** A setting with which it refuses writes, and reads go on. */
function noWrites(setting: string, refusing: string, usual: string, what: string): RedisFault {
  return {
    what,
    options: { touchInterval: 0 }, // so that each request that only reads would move the expiry as well
    async run({ server }) {
      await server.cli('CONFIG', 'SET', setting, refusing)
      await sleep(DURATION)
      await server.cli('CONFIG', 'SET', setting, usual)
    },
    expect: { refuses: 'changes' },
  }
}

async function killFor(server: RedisServer, ms: number): Promise<void> {
  await server.kill()
  await sleep(ms)
  await server.start()
  await until('Redis has loaded its data', async () => (await server.cli('PING')) === 'PONG')
}

async function shutDown(server: RedisServer, ...how: string[]): Promise<void> {
  await server.cli('SHUTDOWN', ...how).catch(() => {})
  await until('Redis is down', () =>
    server.cli('PING').then(
      () => false,
      () => true,
    ),
  )
}

async function repeat(act: () => Promise<unknown>): Promise<void> {
  for (let n = 0; n < 15; n += 1) {
    await act()
    await sleep(200)
  }
}
