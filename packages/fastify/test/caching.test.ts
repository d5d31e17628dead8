import { MemoryStore } from '@session-stores/core'
import type { FastifyInstance } from 'fastify'
import { expect, test } from 'vitest'
import { logOut } from '../src/index.ts'
import { type Answer, Site } from './setup.ts'

test('a page with a session is kept by no cache, unless the handler says otherwise', async () => {
  await using site = await open()
  const browser = site.browser()
  expect(cacheControl(await browser.post('/begin'))).toBe('no-store')
  expect(cacheControl(await browser.get('/'))).toBe('no-store')
  expect(cacheControl(await browser.get('/missing'))).toBe('no-store')
  expect(cacheControl(await browser.get('/style.css'))).toBe('max-age=60')
  expect(cacheControl(await browser.post('/log-out'))).toBe('no-store')
})

test('a page without one is left alone', async () => {
  await using site = await open()
  expect(cacheControl(await site.browser().get('/'))).toBe(null)
})

test('so it is where the cookie is not sent each time', async () => {
  await using site = await open({ rolling: false })
  const browser = site.browser()
  await browser.post('/begin')
  const answer = await browser.get('/')
  expect([answer.cookies, cacheControl(answer)]).toEqual([[], 'no-store'])
  expect(cacheControl(await site.browser().get('/'))).toBe(null)
})

function open(options: { rolling?: boolean } = {}): Promise<Site> {
  return Site.open({ store: new MemoryStore(), ...options }, routes)
}

function routes(app: FastifyInstance): void {
  app.get('/', async ({ session }) => session.user ?? 'nobody')
  app.get('/style.css', async (_request, reply) => reply.header('cache-control', 'max-age=60').send('*{}'))
  app.post('/begin', async ({ session }) => {
    session.user = 'ada'
    return 'ok'
  })
  app.post('/log-out', async (request, reply) => {
    await logOut(request, reply)
    return 'ok'
  })
}

function cacheControl({ headers }: Answer): string | null {
  return headers.get('cache-control')
}
