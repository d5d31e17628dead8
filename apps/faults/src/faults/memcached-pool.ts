import { setTimeout as sleep } from 'node:timers/promises'
import { MemcachedServer } from '@session-stores/testing/memcached'
import { HOST } from '../app/config.ts'
import type { Faults, Subject } from '../fault.ts'
import { openerOf } from '../openers.ts'
import { TcpProxy } from '../proxy.ts'

interface PoolStage {
  /** The one that something happens to. */
  server: MemcachedServer
  proxy: TcpProxy
}

const DURATION = 5000

const faults: Faults<PoolStage> = {
  'one-killed': {
    what: 'one of three servers is killed (SIGKILL), and back after 4 s, empty',
    async run({ server }) {
      await server.kill()
      await sleep(4000)
      await server.start()
    },
    expect: { server: 'forgets' },
  },
  'one-frozen': {
    what: 'one of three servers is stopped (SIGSTOP) for 5 s',
    async run({ server }) {
      await server.pause()
      await sleep(DURATION)
      server.resume()
    },
  },
  'one-unreachable': {
    what: 'no packet gets to one of three servers for 5 s',
    needs: 'Linux',
    async run({ proxy }) {
      proxy.makeAll('silent')
      await proxy.dropNew()
      await sleep(DURATION)
      await proxy.accept()
    },
    expect: { allWithin: 4000 },
  },
}

export const memcachedPool: Subject<PoolStage, object> = {
  name: 'memcached-pool',
  skip: ['SKIP_MEMCACHED'],
  about: `Three Memcached servers, each with a third of the sessions and none with another's: a server that is gone costs its own
third a 503, and one that is killed ends it.`,
  faults,
  async start() {
    const servers = await Promise.all([1, 2, 3].map(() => MemcachedServer.start()))
    const proxies = await Promise.all(servers.map(({ port }) => TcpProxy.to(port)))
    const [server, proxy] = [servers[0] as MemcachedServer, proxies[0] as TcpProxy]
    return {
      ...{ server, proxy, opener: openerOf('memcached') },
      settings: { servers: proxies.map(({ port }) => `${HOST}:${port}`).join() },
      async stop() {
        await Promise.all(proxies.map((each) => each.close()))
        await Promise.all(servers.map((each) => each.kill()))
      },
    }
  },
}
