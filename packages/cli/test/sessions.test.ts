// The program, as a process, on sessions that a Fastify application makes.
import { newVersion, type SessionStore } from '@session-stores/core'
import { RedisStore } from '@session-stores/redis'
import { RedisClusterServers } from '@session-stores/testing/redis'
import { Cluster } from 'ioredis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { cli, isHere, type Place, places, startApp, valuesOf } from './setup.ts'

const HOUR = 3_600_000

/** One for the tests of a `describe`. */
function usePlace(name: keyof typeof places): () => Place {
  let place: Place | undefined
  beforeAll(async () => {
    place = await places[name]()
  })
  afterAll(() => place?.stop())
  return () => place as Place
}

/** Empty, until the test ends. */
async function openEmpty(place: Place, options?: object): Promise<SessionStore> {
  const store = place.openStore(options)
  onTestFinished(() => store.close())
  await store.clear()
  return store
}

for (const name of ['redis', 'postgres', 'sqlite'] as const) {
  describe.skipIf(!isHere(name))(name, () => {
    const place = usePlace(name)
    const run = (...args: string[]) => cli([...args, ...place().args])

    test('count, list and show say which sessions there are, and no id', async () => {
      const app = await startApp(await openEmpty(place()))
      const [ada, again, bob] = [await app.logIn('ada'), await app.logIn('ada'), await app.logIn('bob')]
      const [count, list, ofAda, ofBob, shown, whole] = await Promise.all([
        run('count'),
        run('list'),
        run('list', '--user', 'ada', '--json'),
        run('list', '--user', 'bob', '--json'),
        run('show', ada.handle),
        run('show', ada.handle, '--data'),
      ])
      expect(count).toEqual({ code: 0, stdout: '3\n', stderr: '' })
      const [header, ...rows] = list.stdout.trim().split('\n')
      expect(header).toMatch(/^HANDLE {39}BEGAN {17}ENDS {18}USER$/)
      const listed = rows.map((row) => row.split(/\s{2,}/)).map(([handle, , , user]) => `${handle} ${user}`)
      expect(listed.sort()).toEqual([`${ada.handle} ada`, `${again.handle} ada`, `${bob.handle} bob`].sort())
      expect(
        valuesOf(ofAda)
          .map(({ handle }) => handle)
          .sort(),
      ).toEqual([ada.handle, again.handle].sort())
      const [one] = valuesOf(ofBob)
      expect(one).toEqual({ handle: bob.handle, user: 'bob', began: expect.any(String), ends: expect.any(String) })
      expect(Date.parse(one?.ends as string)).toBeGreaterThan(Date.now())
      expect(shown.stdout).toMatch(
        new RegExp(`^handle  ${ada.handle}\nuser    ada\nbegan   .*\nends    .*\nholds   \\d+ bytes\n$`),
      )
      expect(whole.stdout).toContain('"colour": "green"')
      const outputs = [list, ofAda, shown, whole].map(({ stdout, stderr }) => stdout + stderr).join()
      for (const { sessionId } of [ada, again, bob]) expect(outputs).not.toContain(sessionId)
      for (const { stdout } of [list, shown]) expect(stdout, 'no data unless it is asked for').not.toContain('green')
    })

    test('end logs out: one session, one user, all; it asks before', async () => {
      const app = await startApp(await openEmpty(place()))
      const [ada, again, bob, eve] = [
        await app.logIn('ada'),
        await app.logIn('ada'),
        await app.logIn('bob'),
        await app.logIn('eve'),
      ]
      const stillIn = async () => {
        const all = await Promise.all([ada, again, bob, eve].map((each) => each.isLoggedIn()))
        return all.filter((is) => is).length
      }
      expect(await run('end', eve.handle, '--yes')).toEqual({ code: 0, stdout: 'ended\n', stderr: '' })
      expect(await eve.isLoggedIn()).toBe(false)
      expect(await run('end', eve.handle, '-y')).toMatchObject({
        code: 1,
        stderr: 'there is no session with this handle\n',
      })

      const answer = (input: string, ...args: string[]) => cli(['end', ...args, ...place().args], { input })
      const question = 'End 2 sessions of user ada? [y/N] '
      expect(await answer('no\n', '--user', 'ada')).toMatchObject({ code: 1, stderr: `${question}nothing was ended\n` })
      expect(await answer('', '--user', 'ada')).toMatchObject({ code: 1, stderr: `${question}\nnothing was ended\n` })
      expect(await stillIn()).toBe(3)
      expect(await answer('y\n', '--user', 'ada')).toEqual({ code: 0, stdout: 'ended 2 sessions\n', stderr: question })
      expect(await stillIn()).toBe(1)
      expect(await answer('y\n', '--all')).toMatchObject({ code: 0, stderr: 'End all 1 session? [y/N] ' })
      expect(await stillIn()).toBe(0)
      expect(await run('list')).toMatchObject({ code: 0, stdout: 'no sessions\n' })
    })

    test('prune deletes what has expired, where the server does not', async () => {
      const store = await openEmpty(place())
      const over = { data: '{}', createdAt: Date.now() - 9 * HOUR, expiresAt: Date.now() - 5 * HOUR }
      for (const id of ['a', 'b']) await store.backend.write(store.handleOf(id), over, newVersion())
      const deleted = name === 'redis' ? 0 : 2
      expect(await run('prune')).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(
          `^deleted ${deleted} sessions that had expired${deleted ? '\n' : ': redis deletes'}`,
        ),
      })
    })

    test('check says what should be put right; its exit code says whether that is more than advice', async () => {
      await openEmpty(place())
      const sound = await run('check')
      expect(sound).toMatchObject({ code: 0, stderr: '' })
      expect(sound.stdout).toMatch(
        name === 'redis' ? /^ADVICE {2}the server keeps nothing on disk\n +why: / : /^nothing/,
      )
    })
  })
}

test.skipIf(!isHere('redis'))('with --cluster it goes to all masters of a Redis Cluster', async () => {
  const servers = await RedisClusterServers.start()
  onTestFinished(() => servers.stop())
  const client = new Cluster(servers.addresses)
  const store = new RedisStore({ client, prefix: 'shop:' })
  onTestFinished(async () => {
    await store.close()
    client.disconnect()
  })
  await Promise.all(Array.from({ length: 30 }, (_, n) => store.set(`id${n}`, { n })))
  const args = ['--cluster', '--prefix', 'shop:', '--redis', servers.servers[0]?.url ?? '']
  expect(await cli(['count', ...args])).toEqual({ code: 0, stdout: '30\n', stderr: '' })
  expect(await cli(['end', '--all', '--yes', ...args])).toMatchObject({ code: 0 })
  expect(await store.count()).toBe(0)
})

describe.skipIf(!isHere('memcached'))('memcached', () => {
  const place = usePlace('memcached')
  const run = (...args: string[]) => cli([...args, ...place().args])

  test('it shows and ends a session and all, and says that it can neither count nor list', async () => {
    const app = await startApp(await openEmpty(place()))
    const [ada, bob] = [await app.logIn('ada'), await app.logIn('bob')]
    expect((await run('show', ada.handle, '--data')).stdout).toContain('"colour": "green"')
    expect(await run('count')).toMatchObject({ code: 2, stderr: expect.stringContaining('cannot count') })
    expect(await run('list')).toMatchObject({ code: 2, stderr: 'session-stores: memcached cannot list its sessions\n' })
    expect(await run('end', '--user', 'ada', '--yes')).toMatchObject({ code: 2 })
    expect(await run('end', ada.handle, '--yes')).toMatchObject({ code: 0 })
    expect([await ada.isLoggedIn(), await bob.isLoggedIn()]).toEqual([false, true])
    expect(await run('end', '--all', '--yes')).toMatchObject({ code: 0, stdout: 'ended all sessions\n' })
    expect(await bob.isLoggedIn()).toBe(false)
    expect(await run('check')).toEqual({ code: 0, stdout: 'nothing to put right\n', stderr: '' })
  })
})
