// What docs/migrating.md says of moving from Express to Fastify.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { MemoryStore } from '@session-stores/core'
import { expressStore } from '@session-stores/core/express'
import { buildApp, Gate } from '@session-stores/testing'
import { buildExpressApp } from '@session-stores/testing/express-cases'
import expressSession from 'express-session'
import { expect, onTestFinished, test } from 'vitest'

test('who logged in with express-session is logged in with @fastify/session, on one store', async () => {
  const store = new MemoryStore()
  const before = buildExpressApp(expressStore(expressSession.Store, store) as never).listen(0, '127.0.0.1')
  onTestFinished(() => {
    before.close()
  })
  await once(before, 'listening')
  const after = buildApp(store, new Gate(), { cookieName: 'connect.sid', cookiePrefix: 's:' })
  onTestFinished(() => after.close())
  const express = `http://127.0.0.1:${(before.address() as AddressInfo).port}`
  const fastify = await after.listen({ host: '127.0.0.1', port: 0 })

  const answer = await fetch(`${express}/login/ada`, { method: 'POST' })
  await answer.text()
  const headers = { cookie: answer.headers.getSetCookie()[0]?.split(';', 1)[0] as string }
  await (await fetch(`${fastify}/set/theme/dark`, { method: 'POST', headers })).text()
  for (const base of [express, fastify]) {
    expect(await (await fetch(`${base}/me`, { headers })).json()).toEqual({ user: 'ada', theme: 'dark' })
  }
  await (await fetch(`${fastify}/logout`, { method: 'POST', headers })).text()
  for (const base of [express, fastify]) expect(await (await fetch(`${base}/me`, { headers })).json()).toEqual({})
})
