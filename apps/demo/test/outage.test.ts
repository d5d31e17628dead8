import { until } from '@session-stores/testing'
import { expect, test } from 'vitest'
import { demos, isTested, memory, PASSWORD, sqlite, stores } from './demo.ts'
import { Visitor } from './visitor.ts'

const { start } = demos()
const owned = stores.filter(({ name }) => name !== 'memory' && name !== 'sqlite' && isTested({ name, lasting: true }))

/** What the time line says of each stretch, in words. */
function stretchesOn(text: string): Record<string, string> {
  const rows = text.matchAll(/<th scope="row">([^<]*)<\/th><td>(.*?)<\/td>/gs)
  return Object.fromEntries([...rows].map(([, what, answers]) => [what?.split(':')[0], answers]))
}

test.each(owned)('$name is frozen and comes back: 503 meanwhile, and nobody is logged out', async (store) => {
  const { app } = await start(store) // no server is named, so the demo starts its own
  const ada = Visitor.inside(app)
  await ada.signUp('ada', PASSWORD)
  const stretches = async () => stretchesOn((await ada.get('/outage/time-line')).text)

  await ada.submit('/outage', '/outage/freeze')
  await until('a failure is on the time line', async () => (await stretches())['The server is frozen']?.includes('503'))
  const page = await ada.get('/profile')
  expect([page.status, page.text.includes('Nobody was logged out')]).toEqual([503, true])

  await ada.submit('/outage', '/outage/back')
  await until('all is well', async () => (await stretches())['The server is back']?.includes('logged in'))
  expect(await ada.isLoggedIn()).toBe(true)
  const after = await stretches()
  expect(after['All is well']).toContain('logged in')
  expect(after['The server is back']).not.toContain('logged out')
})

test.each(owned.slice(0, 1))('$name is killed, and comes back by itself', async (store) => {
  const { app } = await start(store, { longestOutage: 1500 })
  const ada = Visitor.inside(app)
  await ada.submit('/outage', '/outage/kill')
  await until('it is back', async () => 'The server is back' in stretchesOn((await ada.get('/outage/time-line')).text))
  expect((await ada.signUp('ada', PASSWORD)).status).toBe(303)
})

test.each(owned.slice(0, 1))('only forms of the demo’s own break $name', async (store) => {
  const { app } = await start(store)
  const stranger = Visitor.inside(app)
  expect((await stranger.post('/outage/freeze', {})).status).toBe(403)
  expect((await stranger.post('/outage/freeze', { _csrf: 'guessed' })).status).toBe(403)
  expect((await stranger.get('/outage')).text).toContain('Nothing yet')
})

test.each([memory, sqlite])('nothing can be broken with the $name store', async (store) => {
  const { app } = await start(store)
  const { text } = await Visitor.inside(app).get('/outage')
  expect(text).toContain('STORE=redis npm start')
  expect((await Visitor.inside(app).post('/outage/kill', {})).status).toBe(404)
})
