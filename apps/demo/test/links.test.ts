import { expect, test } from 'vitest'
import { demos, PASSWORD, sqlite } from './demo.ts'
import { Visitor } from './visitor.ts'

const { start } = demos()

test('every link on every page leads somewhere, to the very line or rule', async () => {
  const { app } = await start(sqlite)
  const ada = Visitor.inside(app)
  await ada.get('/')
  await ada.signUp('ada', PASSWORD)
  const seen = new Set<string>()
  const pages = ['/', '/profile', '/devices', '/watch', '/trials', '/outage', '/login', '/signup']
  for (const path of pages) {
    const { text } = await ada.get(path)
    for (const [, href = ''] of text.matchAll(/(?:href|src)="([^"]+)"/g)) seen.add(href)
  }
  const lines = [...seen].filter((href) => href.includes('#'))
  expect(lines.length).toBeGreaterThan(15)
  for (const href of seen) {
    const [path = '', anchor] = href.split('#')
    const { status, text } = await ada.get(path)
    expect([href, status]).toEqual([href, 200])
    if (anchor) expect(text, href).toContain(`id="${anchor}"`)
  }
  expect((await ada.get('/source/../package.json')).status).toBe(404)
  expect((await ada.get('/source/main.js')).status).toBe(404)
})

test('the contract is shown rule by rule', async () => {
  const { app } = await start(sqlite)
  const { text } = await Visitor.inside(app).get('/contract')
  expect(text).toMatch(
    /id="S21"><dt>S21<\/dt><dd>a request that changes a session does not bring it back after a log-out</,
  )
})
