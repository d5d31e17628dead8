import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ServerProcess, until } from '@session-stores/testing'
import { unprivileged } from '@session-stores/testing/unprivileged'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ConfigError, configFrom, opening } from '../src/config.ts'
import { Passwords } from '../src/passwords.ts'
import { openStore } from '../src/stores/index.ts'
import { Users } from '../src/users.ts'
import { Visitor } from './visitor.ts'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))

let folder: string
let processes: ServerProcess[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'demo-test-'))
  processes = []
})

afterEach(async () => {
  for (const one of processes) await one.stop('SIGKILL')
  rmSync(folder, { recursive: true })
})

/** The demo as a process of its own. */
function run(env: NodeJS.ProcessEnv = {}): ServerProcess {
  const { PATH } = process.env
  // Node before 22.18 wants the flag, later ones take it
  const demo = new ServerProcess(process.execPath, ['--experimental-strip-types', '--no-warnings', main], {
    env: { PATH, DATA_DIR: folder, PORT: '0', ...env },
  })
  processes.push(demo)
  return demo
}

async function started(demo: ServerProcess): Promise<string> {
  await until('the demo listens', () => !demo.alive || demo.output.includes('http://'))
  const origin = /http:\S+/.exec(demo.output)?.[0]
  if (!origin) throw new Error(demo.output)
  return origin
}

/** The exit code, and how long it took, in ms. */
async function ended(demo: ServerProcess): Promise<{ code: number | null; took: number }> {
  const begun = performance.now()
  await until('the demo ends', () => !demo.alive)
  return { code: demo.child.exitCode, took: performance.now() - begun }
}

test('says where it is in one line, keeps its secret to itself, and ends cleanly whoever is connected', async () => {
  const demo = run()
  const origin = await started(demo)
  expect(demo.output).toMatch(/^Demo on http:\/\/localhost:\d+ \(sessions: sqlite, in the file \S+\)\n$/)
  expect(statSync(join(folder, 'session-secret')).mode & 0o777).toBe(0o600)
  expect(statSync(join(folder, 'users.sqlite')).mode & 0o777).toBe(0o600)

  // fetch keeps this connection open; a browser opens others in advance and sends nothing
  await Visitor.at(origin).get('/')
  const { hostname, port } = new URL(origin)
  const silent = connect(Number(port), hostname).on('error', () => {})
  await until('connected', () => !silent.connecting)

  demo.child.kill('SIGINT')
  demo.child.kill('SIGINT') // a terminal and a script in between may both send one
  const { code, took } = await ended(demo)
  expect([code, demo.output.split('\n').length - 1]).toEqual([0, 1])
  expect(took).toBeLessThan(2000)
})

test('finishes a request that is under way, and knows its people and their sessions after a restart', async () => {
  const first = run()
  const ada = Visitor.at(await started(first))
  await ada.signUp('ada', 'correct horse battery')
  const page = (await ada.get('/profile')).text
  const token = /name="_csrf" value="([^"]+)"/.exec(page)?.[1] as string
  const reads = async () =>
    Number(/Read a session<\/th><td class="number">(\d+)/.exec((await ada.get('/profile')).text)?.[1])
  let before = await reads()
  const saving = ada.post('/note', { _csrf: token, note: 'just in time', slow: '1' })
  await until('the slow request has read its session', async () => (await reads()) > ++before)
  first.child.kill('SIGTERM')
  expect((await saving).status).toBe(303)
  expect((await ended(first)).code).toBe(0)

  const again = Visitor.at(await started(run()))
  for (const [name, value] of ada.cookies) again.cookies.set(name, value)
  expect((await again.get('/profile')).text).toContain('just in time')
})

test('says what is wrong with its folder, in one line', async () => {
  const file = join(folder, 'a-file')
  writeFileSync(file, '')
  const demo = run({ DATA_DIR: join(file, 'data') })
  expect((await ended(demo)).code).toBe(1)
  expect(demo.output).toMatch(/^demo: \S+ cannot be used: ENOTDIR: .*; DATA_DIR names another one\n$/)

  mkdirSync(join(folder, 'users.sqlite'))
  const other = run({ STORE: 'redis' })
  expect((await ended(other)).code, 'and leaves no server behind that keeps it alive').toBe(1)
  expect(other.output).toMatch(/^demo: \S+ cannot be used: EISDIR: .*; DATA_DIR names another one\n$/)
})

describe.skipIf(process.platform === 'win32')('files of others', () => {
  afterEach(() => {
    if (process.geteuid?.() !== process.getuid?.()) {
      process.seteuid?.(0)
      process.setegid?.(0)
    }
    chmodSync(folder, 0o700) // so that it can be removed
  })

  /** From here on the test is not root. Folders are the group's then, as with Kubernetes' fsGroup. */
  function becomeSomebodyElse(mode: number): void {
    if (process.getuid?.() === 0) {
      const { uid = 0, gid = 0 } = unprivileged()
      for (const file of ['.', ...readdirSync(folder)]) chownSync(join(folder, file), 0, gid)
      process.setegid?.(gid)
      process.seteuid?.(uid)
    } else chmodSync(folder, mode)
  }

  test('a folder that is the group’s will do, and its files keep their modes', async () => {
    for (const file of ['users.sqlite', 'sessions.sqlite', 'session-secret']) {
      writeFileSync(join(folder, file), file === 'session-secret' ? 'x'.repeat(43) : '')
      chmodSync(join(folder, file), 0o660)
    }
    chmodSync(folder, 0o770)
    becomeSomebodyElse(0o770)
    const config = configFrom({ DATA_DIR: folder })
    const users = new Users(join(folder, 'users.sqlite'))
    const { store } = await openStore({ store: 'sqlite', dataFolder: folder }, {})
    expect((await users.create('ada', 'correct horse battery'))?.name).toBe('ada')
    await store.set('id', { cookie: {} })
    await store.close()
    users.close()
    expect(config.secret).toBe('x'.repeat(43))
    expect(statSync(join(folder, 'users.sqlite')).mode & 0o777).toBe(0o660)
  })

  test('one that cannot be written to is told by a message', async () => {
    writeFileSync(join(folder, 'session-secret'), 'x'.repeat(43))
    chmodSync(join(folder, 'session-secret'), 0o644)
    chmodSync(folder, 0o755)
    becomeSomebodyElse(0o555)
    const path = join(folder, 'users.sqlite')
    const files: Array<() => unknown> = [
      () => configFrom({ DATA_DIR: join(folder, 'new') }),
      () => opening(folder, () => new Users(path)),
      () => openStore({ store: 'sqlite', dataFolder: folder }, {}),
    ]
    for (const open of files) {
      const failure = await Promise.resolve()
        .then(open)
        .catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(ConfigError)
      expect((failure as Error).message).toMatch(
        /cannot be used: .*(EACCES|unable to open).*DATA_DIR names another one$/,
      )
    }
  })
})

test.each([
  [{ STORE: 'floppy' }, /^demo: STORE must be one of memory, sqlite.*; got "floppy"\n$/],
  [{ STORE: 'redis', PATH: '/nowhere' }, /^demo: there is no redis-server here .*; or REDIS_URL says .*\n$/],
  [{ STORE: 'memcached', PATH: '/nowhere' }, /^demo: there is no memcached here .*; or MEMCACHED_SERVERS says .*\n$/],
  [{ PORT: 'http' }, /^demo: PORT must be a whole number from 0 to 65535; got "http"\n$/],
  [{ SESSION_SECRET: 'short' }, /^demo: SESSION_SECRET must have 32 characters or more\n$/],
  [{ TRUST_PROXY: '1' }, /^demo: TRUST_PROXY must hold addresses, .*; got "1"\n$/],
])('says what is wrong with %o', async (env, message) => {
  const demo = run(env)
  expect((await ended(demo)).code).toBe(1)
  expect(demo.output).toMatch(message)
})

test('a session is idle no longer than it lives', () => {
  const { idleTimeout, absoluteTimeout } = configFrom({ DATA_DIR: folder, ABSOLUTE_SECONDS: '60' })
  expect([idleTimeout, absoluteTimeout]).toEqual([60_000, 60_000])
})

test.each(
  [
    ['redis', 'REDIS_URL'],
    ['postgres', 'DATABASE_URL'],
    ['memcached', 'MEMCACHED_SERVERS'],
  ].filter(([store = '']) => process.env[`SKIP_${store.toUpperCase()}`] !== '1'),
)('STORE=%s starts a server of its own where %s names none, and ends it', async (store = '', variable) => {
  const demo = run({ STORE: store })
  const ada = Visitor.at(await started(demo))
  const [, url = ''] = /on a server of the demo's own, (\S+): they end with it/.exec(demo.output) ?? []
  await ada.signUp('ada', 'correct horse battery')
  const { text } = await ada.get('/profile')
  expect(text).toContain(`on a server of the demo&#39;s own, ${url}`)
  expect(text).toContain('STORE=sqlite npm start')

  const other = run({ STORE: store, [variable as string]: url })
  await started(other)
  expect(other.output).toContain(`on the server that ${variable} names`)
  expect(other.output, 'a URL may hold a password').not.toContain(url)
  other.child.kill('SIGTERM')
  demo.child.kill('SIGTERM')
  expect([await ended(other), await ended(demo)]).toMatchObject([{ code: 0 }, { code: 0 }])
  const port = Number(/:(\d+)(?:\/|$)/.exec(url)?.[1])
  const refused = new Promise((resolve) =>
    connect(port, '127.0.0.1').on('error', ({ code }: NodeJS.ErrnoException) => resolve(code)),
  )
  expect(await refused).toBe('ECONNREFUSED')
})

test('says that its port is in use', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const demo = run({ HOST: '127.0.0.1', PORT: String(port) })
  expect((await ended(demo)).code).toBe(1)
  server.close()
  expect(demo.output).toBe(`demo: port ${port} is in use: choose another with PORT\n`)
})

test('a secret that was cut short is refused', async () => {
  writeFileSync(join(folder, 'session-secret'), 'short')
  const demo = run()
  expect((await ended(demo)).code).toBe(1)
  expect(demo.output).toMatch(/session-secret is too short for a secret/)
  expect(readFileSync(join(folder, 'session-secret'), 'utf8')).toBe('short')
})

test('passwords: salted, compared by their stored parameters, and as much work for nobody', async () => {
  const passwords = new Passwords()
  const stored = await passwords.hash('correct horse battery')
  expect(stored).not.toBe(await passwords.hash('correct horse battery'))
  expect(await passwords.matches('correct horse battery', stored)).toBe(true)
  expect(await passwords.matches('correct horse', stored)).toBe(false)
  const typedAnotherWay = await passwords.hash('e\u0301te\u0301')
  expect(await passwords.matches('\u00e9t\u00e9', typedAnotherWay)).toBe(true)
  for (const spoilt of ['', 'x', stored.slice(0, -1), '$scrypt$ln=15,r=8,p=3$$']) {
    expect(await passwords.matches('correct horse battery', spoilt)).toBe(false)
  }
  const cost = (hash: string) => hash.split('$')[2]
  expect(cost(passwords.nobodysHash)).toBe(cost(stored))
  expect(passwords.nobodysHash.length).toBe(stored.length)
})
