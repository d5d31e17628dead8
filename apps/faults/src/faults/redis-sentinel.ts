import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '@session-stores/testing'
import { type RedisServer, SentinelServers } from '@session-stores/testing/redis'
import type { Faults, Subject } from '../fault.ts'
import { openerOf } from '../openers.ts'

interface SentinelStage {
  sentinel: SentinelServers
}

const faults: Faults<SentinelStage> = {
  'master-killed': {
    what: 'the master is killed (SIGKILL), and its replica takes over',
    async run({ sentinel }) {
      const master = await sentinel.master()
      await sentinel.replicated()
      await master.kill()
      await anotherThan(master, sentinel)
    },
    // A failover within the deadline is noticed by nobody.
    expect: { refuses: 'perhaps', server: 'goes back', allWithin: 4000 },
  },
  'master-frozen': {
    what: 'the master is stopped (SIGSTOP), its replica takes over, and it comes back as a replica',
    async run({ sentinel }) {
      const master = await sentinel.master()
      master.pause()
      await anotherThan(master, sentinel)
      await sleep(1000)
      master.resume()
    },
    expect: { server: 'goes back', allWithin: 4000 },
  },
  'failed-over': {
    what: 'SENTINEL FAILOVER',
    async run({ sentinel }) {
      const master = await sentinel.master()
      await sentinel.sentinels[0]?.cli('SENTINEL', 'FAILOVER', sentinel.name)
      await anotherThan(master, sentinel)
    },
    expect: { server: 'goes back', refuses: 'perhaps', allWithin: 4000 },
  },
}

export const redisSentinel: Subject<SentinelStage, object> = {
  name: 'redis-sentinel',
  skip: ['SKIP_REDIS'],
  about: `A master with a replica, watched by three Sentinels. Replication is asynchronous: what a master acknowledged and
its replica had not got yet is lost when that takes over, a log-out too. The store cannot see it, and nothing in Redis makes it
impossible; \`min-replicas-to-write\` bounds it.`,
  faults,
  async start() {
    const sentinel = await SentinelServers.start()
    const sentinels = sentinel.sentinels.map(({ port }) => ({ host: '127.0.0.1', port }))
    return {
      sentinel,
      opener: openerOf('redis'),
      settings: { sentinels, name: sentinel.name },
      stop: () => sentinel.stop(),
    }
  },
}

/** Resolves when the Sentinels name another server. */
async function anotherThan(master: RedisServer, sentinel: SentinelServers): Promise<void> {
  await until('a replica takes over', async () => (await sentinel.master()) !== master)
}
