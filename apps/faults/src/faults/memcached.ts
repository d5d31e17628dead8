import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { dataFolder, freePort, removeFolder } from '@session-stores/testing'
import { MemcachedServer } from '@session-stores/testing/memcached'
import { findProgram } from '@session-stores/testing/unprivileged'
import { HOST } from '../app/config.ts'
import type { Faults, Network, Subject } from '../fault.ts'
import { Fillers } from '../fillers.ts'
import { openerOf } from '../openers.ts'
import { TcpProxy } from '../proxy.ts'
import { networkFaults } from './network.ts'
import { processFaults } from './process.ts'

interface MemcachedStage extends Network {
  server: MemcachedServer
  users: SaslUsers | undefined
}

interface MemcachedSetup {
  /** Of its command line. */
  server?: string[]
  /** It wants to know who is there. */
  sasl?: boolean
}

const DURATION = 5000

const faults: Faults<MemcachedStage, MemcachedSetup> = {
  ...networkFaults,
  ...processFaults,
  frozen: {
    what: 'stopped (SIGSTOP) for 5 s',
    async run({ server }) {
      await server.pause()
      await sleep(DURATION)
      server.resume()
    },
  },
  killed: {
    what: 'killed (SIGKILL), and back after 3 s, empty',
    async run({ server }) {
      await server.kill()
      await sleep(3000)
      await server.start()
    },
    expect: { server: 'forgets' },
  },
  restarted: {
    what: 'restarted in good order, three times, each time empty',
    async run({ server }) {
      for (let n = 0; n < 3; n += 1) {
        await server.stop()
        await server.start()
        await sleep(1000)
      }
    },
    expect: { server: 'forgets', refuses: 'perhaps' },
  },
  flushed: {
    what: 'flush_all',
    async run({ server, forgot }) {
      await server.ask('flush_all')
      await sleep(1100) // it counts seconds, and what is stored in this one goes too
      forgot()
      await sleep(1000)
    },
    expect: { server: 'forgets', refuses: 'nothing' },
  },
  evicting: {
    what: 'the memory is full of other data, and it makes room',
    setup: { server: ['-m', '4'] },
    async run({ server }) {
      await fill(server)
      await sleep(2000)
    },
    expect: { server: 'forgets', refuses: 'nothing' },
  },
  full: {
    what: 'the memory is full of other data for 3 s, and it makes no room (-M)',
    setup: { server: ['-m', '4', '-M'] },
    async run({ server }) {
      await fill(server)
      await sleep(3000)
      await unfill(server)
    },
    expect: { refuses: 'changes' },
  },
  'password-changed': {
    what: 'the password is another one for 4 s, and all connections are reset',
    setup: { sasl: true },
    skip: 'SKIP_SASL',
    async run({ users, proxy }) {
      users?.set('another')
      proxy.reset()
      await sleep(4000)
      users?.set(SaslUsers.password)
    },
  },
  'too-many-connections': {
    what: 'others have taken all connections (-c) for 4 s, and all of ours are reset',
    setup: { server: ['-c', '30'] },
    async run({ server, proxy }) {
      proxy.refuse()
      const fillers = await Fillers.on(server.port, 60)
      await proxy.accept()
      await sleep(4000)
      fillers.close()
    },
  },
}

export const memcached: Subject<MemcachedStage, MemcachedSetup> = {
  name: 'memcached',
  skip: ['SKIP_MEMCACHED'],
  about: `One Memcached server. It is a cache: a restart, a crash or \`flush_all\` ends all its sessions, and when the memory is
short it ends those that were not used for longest. What is ended stays ended; no log-out is undone.`,
  faults,
  async start({ server: options = [], sasl = false }) {
    const users = sasl ? new SaslUsers() : undefined
    const env = users === undefined ? process.env : { ...process.env, SASL_CONF_PATH: users.folder }
    const server = new MemcachedServer(await freePort(), [...options, ...(sasl ? ['-S'] : [])], env)
    await server.start()
    const proxy = await TcpProxy.to(server.port)
    return {
      ...{ server, proxy, users, opener: openerOf('memcached') },
      settings: { servers: `${HOST}:${proxy.port}`, ...(users && { login: SaslUsers.login }) },
      async stop() {
        await proxy.close()
        await server.kill()
        users?.remove()
      },
    }
  },
}

const OTHERS = 40_000

/** Stores 16 MB of other data, in items of all the sizes that a session may have: memcached has room for each size apart. */
async function fill(server: MemcachedServer): Promise<void> {
  await tell(server, (n) => {
    const size = 150 + ((n * 37) % 500)
    return `set other${n} 0 0 ${size} noreply\r\n${'x'.repeat(size)}\r\n`
  })
}

async function unfill(server: MemcachedServer): Promise<void> {
  await tell(server, (n) => `delete other${n} noreply\r\n`)
}

/** Sends it a command for each of the other items. */
async function tell({ port }: MemcachedServer, command: (n: number) => string): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  for (let n = 0; n < OTHERS; n += 1) socket.write(command(n))
  socket.end('quit\r\n')
  socket.resume()
  await once(socket, 'close')
}

/** Who may log in to a server, in a file that it looks into at each log-in. */
class SaslUsers {
  static readonly password = 'right'
  static readonly login = { username: 'ada@faults', password: SaslUsers.password }
  readonly folder = dataFolder('memcached-sasl')
  readonly #file = join(this.folder, 'users')

  constructor() {
    this.set(SaslUsers.password)
    writeFileSync(join(this.folder, 'memcached.conf'), `mech_list: plain\nsasldb_path: ${this.#file}\n`)
    for (const path of [this.folder, this.#file]) chmodSync(path, 0o755)
  }

  set(password: string): void {
    const folders = ['/usr/sbin', '/{opt/homebrew,usr/local}/opt/cyrus-sasl/sbin']
    const program = findProgram('saslpasswd2', folders) ?? 'saslpasswd2'
    const [user = '', realm = ''] = SaslUsers.login.username.split('@')
    execFileSync(program, ['-p', '-c', '-f', this.#file, '-a', 'memcached', '-u', realm, user], { input: password })
  }

  remove(): void {
    removeFolder(this.folder)
  }
}
