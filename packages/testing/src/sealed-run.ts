import assert from 'node:assert/strict'
import { Browser, buildApp, type PluginStore } from './plugin-cases.ts'
import { userOf } from './user-cases.ts'

/** What the sessions of a run hold, besides their users. */
const WORDS = ['lapsang', 'souchong', 'darjeeling', 'originalMaxAge', 'httpOnly']

/**
 * Runs an application with sealed sessions, then one without, and looks for words of the sessions in what the server has
 * stored: there are none after the first, and all of them after the second, which shows that the dump would tell.
 *
 * @param openStore a store with these options, always on the same data; closed here
 * @param dump all that the server has stored, as text or bytes
 */
export async function expectSealed(
  openStore: (options: { encryptionKeys?: string[]; userOf: typeof userOf }) => PluginStore | Promise<PluginStore>,
  dump: () => Promise<string | Buffer>,
): Promise<void> {
  const wordsAtRest = async () => {
    const text = (await dump()).toString('latin1')
    return WORDS.filter((word) => text.includes(word))
  }
  await useSessions(await openStore({ encryptionKeys: ['5e'.repeat(32)], userOf }))
  assert.deepEqual(await wordsAtRest(), [])
  await useSessions(await openStore({ userOf }))
  assert.deepEqual(await wordsAtRest(), WORDS)
}

/** New sessions, log-ins, a log-out, changes one after the other and at once. */
async function useSessions(store: PluginStore): Promise<void> {
  const app = buildApp(store)
  await app.listen({ host: '127.0.0.1', port: 0 })
  try {
    const browsers = Array.from({ length: 5 }, () => new Browser(app))
    await Promise.all(
      browsers.map(async (browser, n) => {
        await browser.post('/set/lapsang/souchong')
        await browser.post(`/login/user${n}`)
        const changes = ['lapsang/1', 'lapsang/souchong', `darjeeling/${n}`].map((change) =>
          new Browser(app, browser.cookie).post(`/set/${change}`),
        )
        await Promise.all(changes)
        await browser.post('/set/lapsang/souchong')
        assert.equal((await browser.get('/me')).darjeeling, `${n}`)
      }),
    )
    await browsers[0]?.post('/logout')
  } finally {
    await app.close()
  }
}
