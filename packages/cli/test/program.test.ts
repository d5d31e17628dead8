// What holds for every store, shown on SQLite, which needs no server.
import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { newVersion, type SessionStore } from '@session-stores/core'
import { dataFolder, freePort, removeFolder } from '@session-stores/testing'
import { PostgresServer } from '@session-stores/testing/postgres'
import { describe, expect, onTestFinished, test } from 'vitest'
import { cli, isHere, type Place, places, program, valuesOf } from './setup.ts'

/** A file for one test, with a session of this user in it. */
async function startPlace(options?: object): Promise<Place & { store: SessionStore }> {
  const place = await places.sqlite()
  onTestFinished(() => void place.stop())
  const store = place.openStore(options)
  onTestFinished(() => store.close())
  await store.set('id', { user: 'ada', colour: 'green' })
  return { ...place, store }
}

function newFolder(): string {
  const folder = dataFolder('cli-folder')
  onTestFinished(() => removeFolder(folder))
  return folder
}

test('its help fits a screen, and names every command', async () => {
  const { stdout, code } = await cli(['--help'])
  expect(code).toBe(0)
  const lines = stdout.trimEnd().split('\n')
  expect(lines.length).toBeLessThan(24)
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80)
  for (const command of ['count', 'list', 'show', 'end', 'prune', 'migrate', 'check', 'key']) {
    expect(stdout).toContain(`\n  ${command} `)
  }
  expect(await cli([])).toMatchObject({ code: 0, stdout })
})

test('key makes a key for encryptionKeys, another one each time', async () => {
  const [one, two] = await Promise.all([cli(['key']), cli(['key', '--json'])])
  const [{ key }] = valuesOf(two) as [{ key: string }]
  expect(one.stdout.trim()).not.toBe(key)
  const { store } = await startPlace({ encryptionKeys: [key] })
  expect(await store.get('id')).toMatchObject({ user: 'ada' })
})

test('sealed sessions are listed without their key, and what they hold is shown with it only', async () => {
  const key = Buffer.alloc(32, 7).toString('base64')
  const { args, store } = await startPlace({ encryptionKeys: [key] })
  const show = ['show', store.handleOf('id'), '--data', ...args]
  const [list, without, withKey] = await Promise.all([
    cli(['list', ...args, '--json']),
    cli(show),
    cli(show, { env: { SESSION_STORES_KEYS: `${Buffer.alloc(32, 1).toString('base64')}, ${key}` } }),
  ])
  expect(valuesOf(list)).toMatchObject([{ handle: store.handleOf('id'), user: 'ada' }])
  expect(without).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('SESSION_STORES_KEYS') })
  expect(withKey).toMatchObject({ code: 0, stdout: expect.stringContaining('"colour": "green"') })
})

test('what follows a double dash can come from the environment; the command line counts more', async () => {
  const { args } = await startPlace()
  const [, file = ''] = args
  const env = { SESSION_STORES_SQLITE: file }
  expect(await cli(['count'], { env })).toMatchObject({ code: 0, stdout: '1\n' })
  const other = await startPlace()
  await other.store.clear()
  expect(await cli(['count', ...other.args], { env })).toMatchObject({ stdout: '0\n' })
})

test('a handle may look like an option', async () => {
  const { args, store } = await startPlace()
  const handle = `-${'a'.repeat(42)}`
  await store.backend.write(handle, { data: '{}', createdAt: 0, expiresAt: Date.now() + 1e6 }, newVersion())
  expect(await cli(['end', handle, '--yes', ...args])).toMatchObject({ code: 0, stdout: 'ended\n' })
})

test("a user's name cannot drive the terminal", async () => {
  const { args, store } = await startPlace()
  await store.set('id', { user: '\x1b[2Jeve\u202e', text: '\u009b2J' })
  const handle = store.handleOf('id')
  const [list, show] = await Promise.all([cli(['list', ...args]), cli(['show', handle, '--data', ...args])])
  expect(list.stdout).toContain('\\u{001b}[2Jeve\\u{202e}')
  for (const character of ['\x1b', '\u202e', '\u009b']) expect(list.stdout + show.stdout).not.toContain(character)
})

test('check ends with 1 when there is more than advice', async () => {
  const { args } = await startPlace()
  chmodSync(args[1] ?? '', 0o644)
  const { code, stdout } = await cli(['check', ...args])
  expect(code).toBe(1)
  expect(stdout).toMatch(/^WARNING others than its owner may use .*\n {8}why: .*\n {8}how: chmod 600 .*\n/)
  expect(valuesOf(await cli(['check', '--json', ...args]))).toEqual([
    { severity: 'warning', what: expect.any(String), why: expect.any(String), how: expect.any(String) },
  ])
})

describe.skipIf(!isHere('postgres'))('migrate', () => {
  test('prints the SQL and connects to nothing, or makes the table', async () => {
    const printed = await cli(['migrate', '--print', '--postgres', 'postgres://localhost:1/none', '--table', 'visits'])
    expect(printed).toMatchObject({ code: 0, stdout: expect.stringContaining('create table "visits" (') })
    const server = await PostgresServer.start()
    onTestFinished(() => server.dispose())
    const run = (...args: string[]) => cli([...args, '--postgres', server.url(), '--table', 'visits'])
    expect(await run('check')).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^ERROR {3}there is no table visits/),
    })
    expect(await run('count')).toMatchObject({ code: 3, stderr: expect.stringContaining('run store.migrate()') })
    expect(await run('migrate')).toMatchObject({ code: 0, stdout: 'the table is as this version needs it\n' })
    expect(await run('count')).toMatchObject({ code: 0, stdout: '0\n' })
  })

  test('has nothing to do elsewhere', async () => {
    const { args } = await startPlace()
    expect(await cli(['migrate', ...args])).toEqual({ code: 0, stdout: 'sqlite has no table to migrate\n', stderr: '' })
  })
})

test.concurrent.each([
  ['redis', 'redis://:hunter2@127.0.0.1'],
  ['postgres', 'postgres://ada:hunter2@127.0.0.1'],
  ['memcached', 'ada:hunter2@127.0.0.1'],
])('a server that is not there: exit code 3, the reason, no password: %s', async (store, where) => {
  const { code, stdout, stderr } = await cli(['show', 'x'.repeat(43), `--${store}`, `${where}:${await freePort()}`])
  expect({ code, stdout }).toEqual({ code: 3, stdout: '' })
  expect(stderr).toMatch(/^session-stores: .*ECONNREFUSED.*\n$/)
  expect(stderr).not.toContain('hunter2')
})

test.each([
  [['cuont'], 'there is no command cuont: one of count, list, show, end, prune, migrate, check, key'],
  [
    ['redis://:secret@host'],
    'there is no command (an address): one of count, list, show, end, prune, migrate, check, key',
  ],
  [['--json'], 'a command is missing: one of count, list, show, end, prune, migrate, check, key'],
  [['count'], 'which store? One of --redis, --postgres, --sqlite, --memcached'],
  [['count', '--redis', 'redis://a', '--sqlite', 'b'], '--redis and --sqlite: one store at a time'],
  [['count', '--sqlite', 'none.sqlite'], `${import.meta.dirname}/none.sqlite is not there`],
  [['count', '--sqlite', 'a', '--prefix', 'b'], '--prefix is for --redis and --memcached only'],
  [['count', '--all', '--sqlite', 'a'], '--all is for end only'],
  [['count', 'more', '--sqlite', 'a'], 'count does not know what to do with more'],
  [['count', 'redis://:secret@host'], 'count does not know what to do with (an address)'],
  [['count', '--quick'], "Unknown option '--quick'"],
  [['show', '--sqlite', 'a'], 'show needs a handle, as list shows it'],
  [['show', 'abc', '--sqlite', 'a'], 'a handle has 43 characters, as list shows it; the id of a session is none'],
  [['end', '--sqlite', 'a'], 'end takes one of a handle, --user and --all'],
  [['end', '--all', '--user', 'a', '--sqlite', 'a'], 'end takes one of a handle, --user and --all'],
])('wrong use: exit code 2, and what is wrong: %s', async (args, message) => {
  expect(await cli(args)).toEqual({ code: 2, stdout: '', stderr: `session-stores: ${message}\n` })
})

test('where the application is not installed it says which package is missing', async () => {
  const folder = newFolder()
  const { code, stderr } = await cli(['count', '--redis', 'redis://127.0.0.1:1'], { cwd: folder })
  expect(code).toBe(2)
  expect(stderr).toBe(
    `session-stores: @session-stores/redis is not installed in ${folder}: run this in the application's folder\n`,
  )
})

test('where better-sqlite3 is not installed it takes the driver of Node', async () => {
  const { args } = await startPlace()
  const folder = newFolder()
  mkdirSync(join(folder, 'node_modules/@session-stores'), { recursive: true })
  const from = join(import.meta.dirname, '../node_modules/@session-stores/sqlite')
  symlinkSync(from, join(folder, 'node_modules/@session-stores/sqlite'))
  expect(await cli(['count', ...args], { cwd: folder })).toMatchObject({ code: 0, stdout: '1\n' })
})

test('it makes no file and changes no setting of one', async () => {
  const { args, store } = await startPlace()
  const [, file = ''] = args
  await store.close()
  const Database = (await import('better-sqlite3')).default
  const database = new Database(file)
  database.pragma('journal_mode = DELETE')
  database.close()
  expect(await cli(['count', ...args])).toMatchObject({ stdout: '1\n' })
  const after = new Database(file)
  expect(after.pragma('journal_mode', { simple: true })).toBe('delete')
  after.close()
  rmSync(file)
  expect(await cli(['count', ...args])).toMatchObject({ code: 2 })
  expect(existsSync(file)).toBe(false)
})

test('whoever reads the list may stop', async () => {
  const { args, store } = await startPlace()
  await Promise.all(Array.from({ length: 3000 }, (_, n) => store.set(`id${n}`, {})))
  const shell = `${process.execPath} ${program} list ${args.join(' ')} | head -n 2`
  const { stdout, stderr } = await promisify(execFile)('bash', ['-o', 'pipefail', '-c', shell])
  expect(stdout.split('\n')).toHaveLength(3)
  expect(stderr).toBe('')
})

// `script` of util-linux gives it a terminal.
const hasScript = process.platform === 'linux' && existsSync('/usr/bin/script')
test.runIf(hasScript)('on a terminal it shows how far it is, and only there', async () => {
  const { args, store } = await startPlace()
  await Promise.all(Array.from({ length: 8000 }, (_, n) => store.set(`id${n}`, {})))
  const command = `${process.execPath} ${program} list ${args.join(' ')}`
  const folder = newFolder()
  const { stdout } = await promisify(execFile)('script', ['-qefc', `${command} >${folder}/out`, '/dev/null'])
  expect(stdout).toMatch(/\rlisting: [\d,]+ \(\d s\)/)
  expect(stdout.endsWith('\r\x1b[K')).toBe(true)
  expect((await cli(['count', ...args])).stderr).toBe('')
})
