import { describe, expect, test } from 'vitest'
import { trials } from '../src/trials/trials.ts'
import { demos, memory, PASSWORD, stores } from './demo.ts'
import { Visitor } from './visitor.ts'

const { start, serve } = demos()

describe.each(stores)('with the $name store', (store) => {
  serve(store)

  test('every race is won, and lost by a plain store', async () => {
    const { app, sessions } = await start(store)
    const ada = Visitor.inside(app)
    await ada.signUp('ada', PASSWORD)
    for (const { id, byUser } of trials) {
      const { status, text } = await ada.submit('/trials', `/trials/${id}`)
      expect(status).toBe(200)
      const verdicts = [...text.matchAll(/<strong>(Holds|Broken|Not tried)\.<\/strong> ([^<]+)</g)].map(
        ([, verdict]) => verdict,
      )
      const isTried = !byUser || store.name !== 'memcached' // which cannot list
      expect([id, ...verdicts]).toEqual([id, isTried ? 'Holds' : 'Not tried', 'Broken'])
    }
    expect(await ada.isLoggedIn()).toBe(true)
    if (sessions.store.backend.count) expect(await sessions.store.count(), 'no trial leaves a session').toBe(1)
  })
})

test('a trial shows what was sent and what came of it', async () => {
  const { app } = await start(memory)
  const ada = Visitor.inside(app)
  await ada.signUp('ada', PASSWORD)
  const { text } = await ada.submit('/trials', '/trials/log-out')
  const [ours = [], theirs = []] = text
    .split('<ol class="log">')
    .slice(1)
    .map((part) => [...part.matchAll(/<li><code>([^<]+)<\/code>/g)].map(([, line]) => line))
  expect(ours).toEqual([
    'POST /log-in → 200 logged in',
    'it has loaded the session and waits',
    'POST /log-out → 200 logged out',
    'it goes on',
    'POST /slow/a → 200 saved',
    'GET /session → 200 {&quot;loggedIn&quot;:false,&quot;keys&quot;:[]}',
  ])
  expect(theirs.at(-1)).toContain('&quot;loggedIn&quot;:true')
  expect((await ada.submit('/trials', '/trials/nothing')).status).toBe(404)
})
