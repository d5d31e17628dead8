import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '@session-stores/testing'
import { RedisClusterServers, type RedisServer } from '@session-stores/testing/redis'
import type { Faults, Subject } from '../fault.ts'
import { openerOf } from '../openers.ts'

interface ClusterStage {
  cluster: RedisClusterServers
}

const faults: Faults<ClusterStage> = {
  'master-killed': {
    what: 'one of three masters is killed (SIGKILL), and its replica takes over',
    async run({ cluster }) {
      const master = await oneMaster(cluster)
      await cluster.replicated()
      await master.kill()
      await isReplaced(master, cluster)
    },
    expect: { server: 'goes back', allWithin: 4000 },
  },
  'master-frozen': {
    what: 'one of three masters is stopped (SIGSTOP), and its replica takes over',
    async run({ cluster }) {
      const master = await oneMaster(cluster)
      await cluster.replicated()
      master.pause()
      await isReplaced(master, cluster)
    },
    expect: { server: 'goes back', allWithin: 4000 },
  },
  'master-frozen-for-good': {
    what: 'one of three masters is stopped (SIGSTOP) for 6 s, and nothing takes over',
    async run({ cluster }) {
      for (const server of cluster.servers) {
        await server.cli('CONFIG', 'SET', 'cluster-replica-no-failover', 'yes')
        await server.cli('CONFIG', 'SET', 'cluster-require-full-coverage', 'no')
      }
      const master = await oneMaster(cluster)
      master.pause()
      await sleep(6000)
      master.resume()
    },
    // It takes a moment until the others believe in it again
    expect: { firstWithin: 4000, allWithin: 6000 },
  },
  'slots-moved': {
    what: '2000 slots move from one master to another, with the sessions in them',
    async run({ cluster }) {
      const [from, to] = await cluster.masters()
      if (from === undefined || to === undefined) throw new Error('there are no two masters')
      await cluster.reshard(from, to, 2000)
    },
    expect: { refuses: 'nothing' },
  },
}

export const redisCluster: Subject<ClusterStage, object> = {
  name: 'redis-cluster',
  skip: ['SKIP_REDIS'],
  about: `Three masters with a replica each. What a master acknowledged and its replica had not got yet is lost when that takes
over, as with Sentinel. While a master is gone, its own third of the sessions is a 503, and the others are served.`,
  faults,
  async start() {
    const cluster = await RedisClusterServers.start()
    return {
      cluster,
      opener: openerOf('redis'),
      settings: { nodes: cluster.addresses },
      stop: () => cluster.stop(),
    }
  },
}

async function oneMaster(cluster: RedisClusterServers): Promise<RedisServer> {
  const [master] = await cluster.masters()
  if (master === undefined) throw new Error('there is no master')
  return master
}

/** Resolves when there are three masters with slots again, of which this is none. */
async function isReplaced(master: RedisServer, cluster: RedisClusterServers): Promise<void> {
  await until('a replica takes over', async () => {
    const masters = await cluster.masters()
    return masters.length === 3 && !masters.includes(master)
  })
}
